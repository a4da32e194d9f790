package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// firewallUp keeps other machines out. The lab's addresses are private, but Linux answers for each of its addresses on
// every interface, and a machine that routes would pass packets on to the nodes.
func firewallUp(ctx context.Context, lab layout.Lab) error {
	// The first line makes the table exist, so that the second can delete it; all of it takes effect at once.
	rules := fmt.Sprintf(`table inet %[1]s
delete table inet %[1]s
table inet %[1]s {
	chain input {
		type filter hook input priority filter - 10
		ip daddr %[2]s iifname != { "lo", "%[1]s" } drop
	}
	chain forward {
		type filter hook forward priority filter - 10
		oifname "%[1]s" iifname != "%[1]s" ct state new drop
	}
}
`, lab.ID(), lab.Subnet())
	cmd := exec.CommandContext(ctx, "nft", "--file", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func firewallDown(ctx context.Context, lab layout.Lab) error {
	tables, err := run(ctx, "nft", "list", "tables", "inet")
	if err != nil || !strings.Contains(tables+"\n", "table inet "+lab.ID()+"\n") {
		return err
	}
	_, err = run(ctx, "nft", "delete", "table", "inet", lab.ID())
	return err
}
