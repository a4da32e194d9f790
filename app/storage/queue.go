package main

import "github.com/gofiber/fiber/v3"

// queue serves so many requests at the same time, and has the others wait, whom the S3 server would refuse.
func queue(most int) fiber.Handler {
	places := make(chan struct{}, most)
	return func(ctx fiber.Ctx) error {
		places <- struct{}{}
		defer func() { <-places }()
		return ctx.Next()
	}
}
