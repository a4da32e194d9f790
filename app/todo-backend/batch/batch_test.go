package batch_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/batch"
)

// double answers batches one by one, as the test lets it.
type double struct {
	batches chan []int
	goOn    chan error
}

func (d double) answer(questions []int) ([]string, error) {
	d.batches <- questions
	err := <-d.goOn
	var answers []string
	for _, question := range questions {
		answers = append(answers, strconv.Itoa(2*question))
	}
	return answers, err
}

func TestQuestionsThatWaitAreAnsweredTogether(t *testing.T) {
	d := double{make(chan []int), make(chan error)}
	b := batch.New("test", d.answer)
	var asking sync.WaitGroup
	answers := make([]string, 10)
	errs := make([]error, 10)
	ask := func(question int) {
		asking.Go(func() { answers[question], errs[question] = b.Ask(question) })
	}

	ask(0)
	require.Equal(t, []int{0}, <-d.batches, "a lone question waits for nothing")
	for question := 1; question < 9; question++ {
		ask(question)
	}
	require.Eventually(t, func() bool { return b.Waiting() == 8 }, time.Minute, time.Millisecond)
	d.goOn <- nil
	assert.ElementsMatch(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, <-d.batches)
	ask(9)
	require.Eventually(t, func() bool { return b.Waiting() == 1 }, time.Minute, time.Millisecond)
	fault := errors.New("fault")
	d.goOn <- fault
	assert.Equal(t, []int{9}, <-d.batches)
	d.goOn <- nil
	asking.Wait()

	assert.Equal(t, []string{"0", "", "", "", "", "", "", "", "", "18"}, answers)
	assert.Equal(t, []error{nil, fault, fault, fault, fault, fault, fault, fault, fault, nil}, errs)
}

func TestEachGetsItsOwnAnswer(t *testing.T) {
	b := batch.New("test", func(questions []int) ([]int, error) { return questions, nil })
	var asking sync.WaitGroup
	for client := range 8 {
		asking.Go(func() {
			for n := range 1000 {
				answer, err := b.Ask(1000*client + n)
				assert.NoError(t, err)
				assert.Equal(t, 1000*client+n, answer)
			}
		})
	}
	asking.Wait()
}
