package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPanelsHaveWhatPrometheusAnswers(t *testing.T) {
	t.Chdir("../..")
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/prometheus/api/v1/query_range", r.URL.Path)
		assert.Equal(t, []string{"1000", "1600", "5s"},
			[]string{r.FormValue("start"), r.FormValue("end"), r.FormValue("step")})
		assert.NotContains(t, r.FormValue("query"), "$")
		_, _ = io.WriteString(w, `{"data":{"result":[{"metric":{"job":"pingpong"},"values":[[1000,"2.5"]]}]}}`)
	}))
	defer prometheus.Close()
	boards, err := ask(t.Context(), prometheus.URL+"/prometheus", time.Unix(1600, 0))
	require.NoError(t, err)
	for i, show := range shown {
		require.Len(t, boards[i].Panels, len(show.panels))
		for _, panel := range boards[i].Panels {
			assert.NotEmpty(t, panel.Series, panel.Title)
		}
	}
	assert.Equal(t, panel{"Requests per second", "timeseries", "reqps",
		[]series{{"pingpong", json.RawMessage(`[[1000,"2.5"]]`)}}}, boards[0].Panels[0])
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Chdir("../..")
	for answer, want := range map[string]string{
		`{"status":"error","error":"no such function"}`: "prometheus says: no such function",
		`{"status":"success","data":{"result":[]}}`:     "prometheus has nothing of it in the last 10m0s",
	} {
		prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, answer)
		}))
		_, err := ask(t.Context(), prometheus.URL, time.Unix(1600, 0))
		prometheus.Close()
		require.EqualError(t, err, "Requests per second: "+want)
	}
}
