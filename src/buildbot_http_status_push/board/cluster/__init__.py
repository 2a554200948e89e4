"""What a cluster reports beside builds: requests that wait, workers, and builders."""
