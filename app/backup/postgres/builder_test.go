package postgres

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printed is how pg_restore prints an object, with an owner if there is one.
func printed(definition, name, owner string) string {
	text := "--\n-- Name: t; Type: TABLE; Schema: public; Owner: " + owner + "\n--\n\n" + definition + "\n\n\n"
	if owner != "-" {
		text += "ALTER TABLE " + name + " OWNER TO " + owner + ";\n\n"
	}
	return text
}

func TestOwnersAreWhatIsPrintedMoreThanWithout(t *testing.T) {
	objects := []struct{ definition, name, owner string }{
		{"CREATE TABLE public.a (\n    b integer\n);", "public.a", "app"},
		// The function's body looks like a statement that sets an owner.
		{"CREATE FUNCTION f() AS $$\n\nALTER TABLE public.a OWNER TO app;\n\nALTER ROLE app SUPERUSER;\n$$;",
			"public.f()", `"Odd ""one"" "`},
		{`CREATE TABLE public."semi;colon";`, `public."semi;colon"`, "clerk"},
	}
	var with, without strings.Builder
	var wanted []string
	for _, o := range objects {
		with.WriteString(printed(o.definition, o.name, o.owner))
		without.WriteString(printed(o.definition, o.name, "-"))
		wanted = append(wanted, "ALTER TABLE "+o.name+" OWNER TO "+o.owner+";")
	}
	found, err := ownerStatements([]byte(with.String()), []byte(without.String()))
	require.NoError(t, err)
	for i := range found {
		found[i] = strings.TrimSpace(found[i])
	}
	assert.Equal(t, wanted, found)
}

// A line inside a name of several lines is never a statement of its own.
func TestANameOfSeveralLinesIsNoStatement(t *testing.T) {
	for _, name := range []string{
		"\"x\n\nALTER ROLE app SUPERUSER; -- OWNER TO y\"",
		"\" OWNER TO app;\n\nALTER ROLE app SUPERUSER --\n OWNER TO app;\n\ny\"",
	} {
		definition := "CREATE TABLE public." + name + " ();"
		statements, err := ownerStatements([]byte(printed(definition, "public."+name, "app")),
			[]byte(printed(definition, "public."+name, "-")))
		if err != nil {
			require.ErrorIs(t, err, ErrPermanent)
			continue
		}
		require.Equal(t, []string{"ALTER TABLE public." + name + " OWNER TO app;\n\n"}, statements)
	}
}

// A name or a schema may look like the kind of an entry.
func TestOnlyWhatRunsNoCodeIsForASuperuser(t *testing.T) {
	for _, e := range []string{
		"7; 2604 16390 DEFAULT ACL t a app\n", "7; 2617 16390 OPERATOR CLASS === app\n",
		"7; 1259 16390 TABLE EXTENSION - app\n",
		"7; 0 16390 TABLE DATA ACL t app\n", "7; 2606 16390 CHECK CONSTRAINT public t c app\n",
		"7; 1255 16390 FUNCTION public f() app\n",
	} {
		require.Regexp(t, entry, e)
		for _, superusers := range []interface{ MatchString(string) bool }{earlyEntry, lateEntry, lastEntry} {
			assert.False(t, superusers.MatchString(e), e)
		}
	}
	assert.Regexp(t, earlyEntry, "7; 3079 16390 EXTENSION - citext \n")
	assert.Regexp(t, lateEntry, "7; 0 0 SEQUENCE SET public s app\n")
	assert.Regexp(t, lateEntry, "7; 2613 4711 BLOB METADATA - 4711 app\n")
	assert.Regexp(t, lateEntry, "7; 0 0 BLOBS - 4711 app\n")
	assert.Regexp(t, lastEntry, "7; 826 16390 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES app\n")
}
