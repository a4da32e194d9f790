// Naive is the peer of pingpong as most people would write it: one UPDATE for each request, and nothing else.
// GET /empty answers without the database, to show how fast a server on the same machine can be at most.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	url, err := os.ReadFile(os.Getenv("URL_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	pool, err := pgxpool.New(context.Background(), strings.TrimSpace(string(url)))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /naive", func(w http.ResponseWriter, r *http.Request) {
		var n int64
		err := pool.QueryRow(r.Context(), `UPDATE naive SET pings = pings + 1 RETURNING pings - 1`).Scan(&n)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "pong %d", n)
	})
	http.HandleFunc("GET /empty", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pong 0") })
	log.Fatal(http.ListenAndServe(":8080", nil))
}
