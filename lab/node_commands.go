package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// nodeStep is something that a command does with a node of a lab.
type nodeStep func(context.Context, layout.Lab, layout.Node) error

// nodeSteps returns the steps by the names of the hidden commands that run them. All steps need root.
func nodeSteps() map[string]nodeStep {
	return map[string]nodeStep{"start-node": startNode, "stop-node": cluster.StopNode}
}

// addNodeCommands adds the commands that take the number of a node.
func addNodeCommands(root *cobra.Command, at *location) {
	add := func(to *cobra.Command, use, short string, run nodeStep) {
		to.AddCommand(&cobra.Command{
			Use: use + " NUMBER", Short: short, Hidden: short == "",
			RunE: func(cmd *cobra.Command, args []string) error {
				lab, err := at.lab()
				if err != nil {
					return err
				}
				if len(args) != 1 {
					return fmt.Errorf("which node? %d is one, for example NODE=%[1]d", len(lab.Nodes())-1)
				}
				node, err := lab.Node(args[0])
				if err != nil {
					return err
				}
				return run(cmd.Context(), lab, node)
			},
		})
	}
	node := &cobra.Command{Use: "node", Short: "Stop and start a node of the lab"}
	root.AddCommand(node)
	add(node, "stop", "Stop a node as a power cut does", aloneAsRoot("stop-node"))
	add(node, "start", "Start a node again", aloneAsRoot("start-node"))
	for name, step := range nodeSteps() {
		add(root, name, "", step)
	}
}

// aloneAsRoot runs a step while no other command starts or stops the lab.
func aloneAsRoot(name string) nodeStep {
	return func(ctx context.Context, lab layout.Lab, node layout.Node) error {
		return alone(func(ctx context.Context, lab layout.Lab) error {
			return withRoot(ctx, lab, func() error { return nodeSteps()[name](ctx, lab, node) },
				name, fmt.Sprint(node.Index()))
		})(ctx, lab)
	}
}
