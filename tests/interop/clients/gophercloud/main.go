// Stage, import and tasks through gophercloud. Arguments: a raw disk, and the URL of a qcow2.
package main

import (
	"bytes"
	"io/ioutil"
	"log"
	"os"
	"time"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack"
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/imagedata"
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/imageimport"
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/images"
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/tasks"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func create(client *gophercloud.ServiceClient, name string, format string) string {
	image, err := images.Create(client, images.CreateOpts{
		Name: name, DiskFormat: format, ContainerFormat: "bare",
	}).Extract()
	must(err)
	return image.ID
}

func waitUntilActive(client *gophercloud.ServiceClient, id string) {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		image, err := images.Get(client, id).Extract()
		must(err)
		if image.Status == images.ImageStatusActive {
			return
		}
		if time.Now().After(deadline) {
			log.Fatalf("%s is still %s", id, image.Status)
		}
	}
}

func main() {
	provider, err := openstack.AuthenticatedClient(gophercloud.AuthOptions{
		IdentityEndpoint: os.Getenv("OS_AUTH_URL"),
		Username:         os.Getenv("OS_USERNAME"),
		Password:         os.Getenv("OS_PASSWORD"),
		TenantName:       os.Getenv("OS_PROJECT_NAME"),
		DomainName:       "Default",
	})
	must(err)
	client, err := openstack.NewImageServiceV2(provider, gophercloud.EndpointOpts{})
	must(err)

	data, err := ioutil.ReadFile(os.Args[1])
	must(err)
	staged := create(client, "gopher-staged", "raw")
	must(imagedata.Stage(client, staged, bytes.NewReader(data)).ExtractErr())
	direct := imageimport.CreateOpts{Name: imageimport.GlanceDirectMethod}
	must(imageimport.Create(client, staged, direct).ExtractErr())
	waitUntilActive(client, staged)
	body, err := imagedata.Download(client, staged).Extract()
	must(err)
	downloaded, err := ioutil.ReadAll(body)
	must(err)
	if !bytes.Equal(data, downloaded) {
		log.Fatal("the staged data has changed")
	}

	info, err := imageimport.Get(client).Extract()
	must(err)
	if len(info.ImportMethods.Value) < 3 {
		log.Fatalf("only these methods: %v", info.ImportMethods.Value)
	}
	web := create(client, "gopher-web", "qcow2")
	download := imageimport.CreateOpts{Name: imageimport.WebDownloadMethod, URI: os.Args[2]}
	must(imageimport.Create(client, web, download).ExtractErr())
	waitUntilActive(client, web)

	task, err := tasks.Create(client, tasks.CreateOpts{
		Type: "import",
		Input: map[string]interface{}{
			"import_from":        os.Args[2],
			"import_from_format": "qcow2",
			"image_properties": map[string]interface{}{
				"name": "gopher-task", "disk_format": "qcow2", "container_format": "bare",
			},
		},
	}).Extract()
	must(err)
	for deadline := time.Now().Add(2 * time.Minute); task.Status != "success"; {
		time.Sleep(200 * time.Millisecond)
		task, err = tasks.Get(client, task.ID).Extract()
		must(err)
		if task.Status == "failure" || time.Now().After(deadline) {
			log.Fatalf("the task is %s: %s", task.Status, task.Message)
		}
	}
	pages, err := tasks.List(client, tasks.ListOpts{Limit: 2}).AllPages()
	must(err)
	listed, err := tasks.ExtractTasks(pages)
	must(err)
	if len(listed) < 3 {
		log.Fatalf("only %d tasks are listed", len(listed))
	}
	for _, id := range []string{staged, web, task.Result["image_id"].(string)} {
		must(images.Delete(client, id).ExtractErr())
	}
}
