package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Keys of a Secret that users or their operators make. One is enough.
const (
	ownerPassword  = "password"
	readerPassword = "reader-password"
)

// ExistingSecret is a Secret with a database's passwords that the stack does not make. Setting names it.
type ExistingSecret struct{ Namespace, Name, Setting string }

// Passwords are a database's passwords; nil for generated ones.
type Passwords struct{ Owner, Reader pulumi.StringInput }

// passwords reads the existing Secrets. Each up reads them again, so that it takes over what has changed.
func (r Requirements) passwords(ctx context.Context,
	client kubernetes.Interface) (map[ExistingSecret]Passwords, error) {
	all := map[ExistingSecret]Passwords{}
	var faults []error
	for _, existing := range r.Secrets {
		passwords, err := existing.read(ctx, client)
		all[existing] = passwords
		faults = append(faults, err)
	}
	return all, errors.Join(faults...)
}

func (e ExistingSecret) read(ctx context.Context, client kubernetes.Interface) (p Passwords, err error) {
	secret, err := client.CoreV1().Secrets(e.Namespace).Get(ctx, e.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return p, fmt.Errorf("%s: the namespace %s has no Secret %s: make it first, for example with "+
			`kubectl -n %[2]s create secret generic %s --from-literal=%s="$(openssl rand -hex 16)"`,
			e.Setting, e.Namespace, e.Name, ownerPassword)
	}
	if err != nil {
		return p, fmt.Errorf("%s: reading the Secret %s in the namespace %s: %w", e.Setting, e.Name, e.Namespace,
			err)
	}
	_, readerGiven := secret.Data[readerPassword]
	if _, given := secret.Data[ownerPassword]; given || !readerGiven {
		if p.Owner, err = e.password(secret, ownerPassword); err != nil {
			return p, err
		}
	}
	if readerGiven {
		p.Reader, err = e.password(secret, readerPassword)
	}
	return p, err
}

// password names no value in its error.
func (e ExistingSecret) password(secret *corev1.Secret, key string) (pulumi.StringInput, error) {
	if !kube.ValidPassword(string(secret.Data[key])) {
		return nil, fmt.Errorf("%s: the Secret %s in the namespace %s has no %s under %s", e.Setting, e.Name,
			e.Namespace, kube.PasswordRule, key)
	}
	return pulumi.ToSecret(pulumi.String(secret.Data[key])).(pulumi.StringOutput), nil
}
