// Package driver registers no database driver with kine, so that kine refuses addresses of that database.
package driver
