// Receives builds from Buildbot, keeps the newest state of each, and lists them.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type build struct {
	ID         int64  `json:"buildid"`
	StartedAt  int64  `json:"started_at"`
	CompleteAt int64  `json:"complete_at"` // 0 while it runs
	Results    *int   `json:"results"`
	Number     int    `json:"number"`
	URL        string `json:"url"`
	Builder    struct {
		Name string `json:"name"`
	} `json:"builder"`
}

// What a line of the file holds; Build is nil for other events.
type delivery struct {
	ID    string
	Build *build
}

type receiver struct {
	sync.Mutex
	key    []byte
	file   *os.File
	seen   map[string]bool
	builds map[[2]int64]build
}

func (r *receiver) isGenuine(header http.Header, body []byte) bool {
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	sent, err := strconv.ParseUint(stamp, 10, 63)
	age := time.Now().Unix() - int64(sent)
	if err != nil || age < -300 || age > 300 || id == "" || strings.Contains(id, ".") {
		return false
	}
	digest := hmac.New(sha256.New, r.key)
	fmt.Fprintf(digest, "%s.%s.%s", id, stamp, body)
	expected := "v1," + base64.StdEncoding.EncodeToString(digest.Sum(nil))
	for _, given := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(given), []byte(expected)) {
			return true
		}
	}
	return false
}

// A start has no CompleteAt, so it never replaces a finish. Of two finishes the later one counts.
func (r *receiver) remember(one delivery) {
	r.seen[one.ID] = true
	if one.Build == nil {
		return
	}
	name := [2]int64{one.Build.ID, one.Build.StartedAt}
	if one.Build.CompleteAt >= r.builds[name].CompleteAt {
		r.builds[name] = *one.Build
	}
}

func (r *receiver) take(header http.Header, body []byte) (int, string) {
	if !r.isGenuine(header, body) {
		return http.StatusUnauthorized, "not signed with our key just now"
	}
	one := delivery{ID: header.Get("webhook-id")}
	if strings.HasPrefix(header.Get("Buildbot-Event"), "builds.") {
		err := json.Unmarshal(body, &one.Build)
		if err != nil || one.Build == nil || one.Build.StartedAt == 0 {
			return http.StatusUnprocessableEntity, "not a build"
		}
	}
	line, _ := json.Marshal(one)
	r.Lock()
	defer r.Unlock()
	if r.seen[one.ID] {
		return http.StatusOK, "duplicate"
	}
	if _, err := fmt.Fprintf(r.file, "\n%s", line); err != nil || r.file.Sync() != nil {
		return http.StatusInternalServerError, "can't write the file"
	}
	r.remember(one)
	return http.StatusOK, "kept"
}

func (r *receiver) submit(response http.ResponseWriter, request *http.Request) {
	code, text := http.StatusRequestEntityTooLarge, "too long"
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, 32<<20))
	if err == nil {
		code, text = r.take(request.Header, body)
	}
	response.WriteHeader(code)
	fmt.Fprint(response, text)
}

func (r *receiver) list(response http.ResponseWriter, _ *http.Request) {
	r.Lock()
	defer r.Unlock()
	all := []build{}
	for _, one := range r.builds {
		all = append(all, one)
	}
	response.Header().Set("Content-Type", "application/json")
	json.NewEncoder(response).Encode(all)
}

func readKey(text string) []byte {
	if !strings.HasPrefix(text, "whsec_") {
		return []byte(text)
	}
	encoded := strings.TrimRight(strings.TrimPrefix(text, "whsec_"), "=")
	key, _ := base64.RawStdEncoding.DecodeString(encoded)
	return key
}

func main() {
	key := readKey(os.Getenv("WEBHOOK_KEY"))
	if len(key) == 0 {
		log.Fatal("WEBHOOK_KEY must be the key that the master signs with")
	}
	file, err := os.OpenFile("builds.jsonl", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	r := &receiver{key: key, file: file, seen: map[string]bool{}, builds: map[[2]int64]build{}}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one delivery
		// A line that a crash has cut short was never answered, so it is sent again.
		if json.Unmarshal(lines.Bytes(), &one) == nil {
			r.remember(one)
		}
	}
	http.HandleFunc("/submit", r.submit)
	http.HandleFunc("/builds", r.list)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
