module github.com/stateful-k3s/stateful-k3s/lab/tools/pause

go 1.26.8
