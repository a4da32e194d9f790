package page

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ask sends a request that no browser sends.
func (p *Page) Ask(method, path, body string) (status int, answer string) {
	request, err := http.NewRequestWithContext(p.T.Context(), method, p.URL+path, strings.NewReader(body))
	require.NoError(p.T, err)
	request.Header.Set("Content-Type", "application/json")
	return Send(p.T, request)
}

// Send sends a request from this machine, and returns the answer.
func Send(t *testing.T, request *http.Request) (status int, body string) {
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

// Add adds todos one after the other, as others do behind the page's back.
func (p *Page) Add(titles ...string) {
	for _, title := range titles {
		body, err := json.Marshal(map[string]string{"title": title})
		require.NoError(p.T, err)
		status, answer := p.Ask(http.MethodPost, "todos", string(body))
		require.Equal(p.T, http.StatusCreated, status, answer)
	}
}

// Change patches the todo with a title.
func (p *Page) Change(title, patch string) {
	status, answer := p.Ask(http.MethodPatch, "todos/"+p.ID(title), patch)
	require.Equal(p.T, http.StatusOK, status, answer)
}

// ID is the ID of the todo with a title.
func (p *Page) ID(title string) string {
	for _, todo := range p.Todos() {
		if todo.Title == title {
			return strconv.FormatInt(todo.ID, 10)
		}
	}
	require.FailNow(p.T, "there is no such todo", title)
	return ""
}

// Todo is a todo of the backend.
type Todo struct {
	ID        int64
	Title     string
	Completed bool
}

// Todos returns the todos that the backend has, up to a thousand.
func (p *Page) Todos() (todos []Todo) {
	status, answer := p.Ask(http.MethodGet, "todos?limit=1000", "")
	require.Equal(p.T, http.StatusOK, status, answer)
	require.NoError(p.T, json.Unmarshal([]byte(answer), &todos))
	return todos
}

// Get returns the todo with an ID.
func (p *Page) Get(id string) (found Todo) {
	status, answer := p.Ask(http.MethodGet, "todos/"+id, "")
	require.Equal(p.T, http.StatusOK, status, answer)
	require.NoError(p.T, json.Unmarshal([]byte(answer), &found))
	return found
}

// Has waits until the backend has these todos and no others: "x title" for a completed one, or else "-
// title".
func (p *Page) Has(want ...string) {
	Becomes(p.T, append([]string{}, want...), func() []string {
		all := []string{}
		for _, todo := range p.Todos() {
			all = append(all, map[bool]string{true: "x ", false: "- "}[todo.Completed]+todo.Title)
		}
		return all
	})
}
