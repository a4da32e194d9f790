package web

import "net/http"

// response remembers its status, and replaces what the mux writes by itself for unknown paths and methods.
type response struct {
	http.ResponseWriter
	request *http.Request
	status  int
	// replaced: a problem has been written, so the mux's own text is not.
	replaced bool
}

func (r *response) WriteHeader(status int) {
	if r.status != 0 {
		r.ResponseWriter.WriteHeader(status) // which logs the second call
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

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
