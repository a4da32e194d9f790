package cluster

import (
	"embed"
	"os"
	"strings"
	"text/template"
)

//go:embed files
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "files/*"))

// render fills in a file of the folder files.
func render(name string, data any) string {
	var content strings.Builder
	if err := templates.ExecuteTemplate(&content, name, data); err != nil {
		panic(err) // the template does not fit its data
	}
	return content.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil || !os.IsNotExist(err)
}
