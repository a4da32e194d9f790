// Package main does what a released k3s does first: it unpacks the programs that
// it carries, here in a ZIP archive at its end, and runs the one it was asked for.
package main

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(filepath.Join(os.Getenv("K3S_DATA_DIR"), "data", "current", "bin")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bin string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	carried, err := zip.OpenReader(self)
	if err != nil {
		return err
	}
	if err := os.CopyFS(bin, carried); err != nil {
		return err
	}
	// The program in it goes by the name that it is called under, such as kubectl.
	return syscall.Exec(filepath.Join(bin, "k3s"), os.Args[1:], os.Environ())
}
