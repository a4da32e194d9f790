// Package requestid carries the ID of a request to what is done for it.
package requestid

import "context"

type key struct{}

// With returns a context of the request with an ID.
func With(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }

// From returns the ID; empty if there is none.
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
