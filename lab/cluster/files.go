package cluster

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// render fills in a file of the folder files.
func render(name string, data any) string {
	var content strings.Builder
	if err := templates.ExecuteTemplate(&content, name, data); err != nil {
		panic(err) // the template does not fit its data
	}
	return content.String()
}

// replaceFile writes a file as a whole, and makes its directory.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil || !os.IsNotExist(err)
}
