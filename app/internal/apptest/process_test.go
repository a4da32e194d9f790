package apptest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

// The app runs its arguments as a command.
func TestMain(m *testing.M) {
	Main(m, func() {
		cmd := exec.Command(os.Args[1], os.Args[2:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		if err := cmd.Run(); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
	})
}

func TestAnAppHasTheProgramsOfTheTree(t *testing.T) {
	tree := imagetest.Open(t)
	app := StartIn(t, tree, []string{"pg_dump", "--version"})
	assert.Equal(t, 0, app.Wait().ExitCode())
	assert.Contains(t, app.Logged(), "pg_dump (PostgreSQL) 17.")

	app = StartIn(t, tree, []string{"sh", "-c", "echo $NAME $HOME; exit 1"}, "NAME=value")
	assert.Equal(t, 3, app.Wait().ExitCode())
	assert.Equal(t, "value\nexit status 1\n", app.Logged())
}
