package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var files embed.FS

// assets maps public names to contents, and names maps files to public names. A public name contains a hash
// of the content, so browsers may cache it for good.
var assets, names = func() (map[string][]byte, map[string]string) {
	entries, err := files.ReadDir("assets")
	if err != nil {
		panic(err) // the files are part of the program
	}
	assets, names := map[string][]byte{}, map[string]string{}
	for _, entry := range entries {
		content, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err)
		}
		hash := sha256.Sum256(content)
		extension := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), extension) + "." + hex.EncodeToString(hash[:6]) + extension
		assets[name], names[entry.Name()] = content, name
	}
	return assets, names
}()

// Assets serves the asset {name}.
var Assets http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
