// Reads dashboards as Grafana's own SDK does where it is strict: an unknown field, a missing one or a wrong type is an error.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err == nil {
			var board dashboard.Dashboard
			err = board.UnmarshalJSONStrict(text)
		}
		// For a query of a plugin it does not know, the SDK returns an empty list of errors.
		if err != nil && err.Error() != "" {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}
