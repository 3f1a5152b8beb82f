// Says for the URL that is its argument whether Go's net/http would use the proxy of the environment.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	request, err := http.NewRequest("GET", os.Args[1], nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	if proxy == nil {
		fmt.Println("direct")
	} else {
		fmt.Println("proxy")
	}
}
