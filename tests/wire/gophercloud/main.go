// The lives of two images through gophercloud, which Terraform and Packer are made with.
//
// Arguments: the identity URL and a project to share with; then user, password and project, or
// the id and secret of an application credential.
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
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/members"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func options(url string, words []string) gophercloud.AuthOptions {
	if len(words) == 2 {
		return gophercloud.AuthOptions{
			IdentityEndpoint:            url,
			ApplicationCredentialID:     words[0],
			ApplicationCredentialSecret: words[1],
		}
	}
	return gophercloud.AuthOptions{
		IdentityEndpoint: url,
		Username:         words[0],
		Password:         words[1],
		TenantName:       words[2],
		DomainName:       "Default",
	}
}

func main() {
	provider, err := openstack.AuthenticatedClient(options(os.Args[1], os.Args[3:]))
	must(err)
	client, err := openstack.NewImageServiceV2(provider, gophercloud.EndpointOpts{})
	must(err)

	shared := images.ImageVisibilityShared
	image, err := images.Create(client, images.CreateOpts{
		Name:            "disk",
		DiskFormat:      "raw",
		ContainerFormat: "bare",
		Visibility:      &shared,
		Properties:      map[string]string{"os_distro": "debian"},
	}).Extract()
	must(err)

	data := bytes.Repeat([]byte("gopher"), 100000)
	must(imagedata.Upload(client, image.ID, bytes.NewReader(data)).ExtractErr())
	change := images.UpdateOpts{images.ReplaceImageTags{NewTags: []string{"a", "b"}}}
	_, err = images.Update(client, image.ID, change).Extract()
	must(err)
	_, err = members.Create(client, image.ID, os.Args[2]).Extract()
	must(err)

	pages, err := images.List(client, images.ListOpts{Limit: 1, Visibility: images.ImageVisibilityShared}).AllPages()
	must(err)
	listed, err := images.ExtractImages(pages)
	must(err)
	body, err := imagedata.Download(client, image.ID).Extract()
	must(err)
	downloaded, err := ioutil.ReadAll(body)
	must(err)
	if len(listed) != 1 || listed[0].ID != image.ID || !bytes.Equal(data, downloaded) {
		log.Fatal("the image is not listed, or its data has changed")
	}
	must(images.Delete(client, image.ID).ExtractErr())
	stageAndImport(client, data)
}

func stageAndImport(client *gophercloud.ServiceClient, data []byte) {
	image, err := images.Create(client, images.CreateOpts{
		Name: "staged", DiskFormat: "raw", ContainerFormat: "bare",
	}).Extract()
	must(err)
	must(imagedata.Stage(client, image.ID, bytes.NewReader(data)).ExtractErr())
	direct := imageimport.CreateOpts{Name: imageimport.GlanceDirectMethod}
	must(imageimport.Create(client, image.ID, direct).ExtractErr())
	deadline := time.Now().Add(time.Minute)
	for image.Status != images.ImageStatusActive {
		if time.Now().After(deadline) {
			log.Fatalf("the imported image is still %s", image.Status)
		}
		time.Sleep(100 * time.Millisecond)
		image, err = images.Get(client, image.ID).Extract()
		must(err)
	}
	must(images.Delete(client, image.ID).ExtractErr())
}
