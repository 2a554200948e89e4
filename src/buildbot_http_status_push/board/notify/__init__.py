"""Reports incidents to people: rules, what is said when, texts, and how it is sent."""
