package web

import "net/http"

// response records the status, and replaces the mux's own text for unknown paths and methods with a problem.
type response struct {
	http.ResponseWriter
	request *http.Request
	status  int
	// replaced means that the mux's text must be dropped.
	replaced bool
}

func (r *response) WriteHeader(status int) {
	if r.status != 0 {
		r.ResponseWriter.WriteHeader(status) // logs the superfluous call
		return
	}
	r.status = status
	unmatched := r.request.Pattern == ""
	if unmatched && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		r.replaced = true
		Problem(r.ResponseWriter, status, "")
		return
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(body []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if r.replaced {
		return len(body), nil
	}
	return r.ResponseWriter.Write(body)
}

// Unwrap serves http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
