package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExistingSecrets(t *testing.T) {
	secret := func(name string, data map[string]string) *corev1.Secret {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: name},
			Data: map[string][]byte{}}
		for key, value := range data {
			secret.Data[key] = []byte(value)
		}
		return secret
	}
	existing := func(name string) ExistingSecret {
		return ExistingSecret{"apps", name, "databases[0].existingSecret"}
	}
	client := newCluster(nil, secret("one", map[string]string{"password": "correct-horse"}),
		secret("two", map[string]string{"password": "correct-horse", "reader-password": "battery-staple"}),
		secret("reader", map[string]string{"reader-password": "battery-staple"}), secret("empty", nil),
		secret("short", map[string]string{"password": "secret7"}),
		secret("spaces", map[string]string{"password": "correct-horse", "reader-password": "battery staple"}))

	r := Requirements{Secrets: []ExistingSecret{existing("one"), existing("two"), existing("reader")}}
	read, err := r.passwords(t.Context(), client)
	require.NoError(t, err)
	require.NotNil(t, read[existing("one")].Owner)
	require.Nil(t, read[existing("one")].Reader)
	require.NotNil(t, read[existing("two")].Owner)
	require.NotNil(t, read[existing("two")].Reader)
	require.Nil(t, read[existing("reader")].Owner)
	require.NotNil(t, read[existing("reader")].Reader)

	r.Secrets = []ExistingSecret{existing("none"), existing("empty"), existing("short"), existing("spaces")}
	_, err = r.passwords(t.Context(), client)
	require.EqualError(t, err, "databases[0].existingSecret: the namespace apps has no Secret none: make it "+
		"first, for example with kubectl -n apps create secret generic none "+
		"--from-literal=password=\"$(openssl rand -hex 16)\"\n"+
		"databases[0].existingSecret: the Secret empty in the namespace apps has no 8 to 128 printable ASCII "+
		"characters without spaces under password\n"+
		"databases[0].existingSecret: the Secret short in the namespace apps has no 8 to 128 printable ASCII "+
		"characters without spaces under password\n"+
		"databases[0].existingSecret: the Secret spaces in the namespace apps has no 8 to 128 printable ASCII "+
		"characters without spaces under reader-password")
}
