// The page works without this script. With it, a visitor's actions show at once; they are sent in the
// background, in order, and retried until they are answered. Changes by others show within seconds.
//
// The page always shows the base, which is the backend's last answer, with the unanswered actions applied.

const $ = (id) => document.getElementById(id)
const main = $('main'), list = $('todos'), add = $('add'), field = $('title')

const pollInterval = 2000, maxBackoff = 10000 // milliseconds
const step = 300 // todos
const limit = (name) => Number(main.dataset[name])
const maxTitle = limit('maxTitle'), pageSize = limit('pageSize'), maxPage = limit('maxPage')
const maxCount = limit('maxCount')
const timeout = limit('timeout') // milliseconds

const base = { todos: [], counts: { active: 0, completed: 0 }, more: false }
const rows = new Map() // by the ID of their todos
const etags = new Map() // by address

// If the browser refuses to store, the actions live as long as the page.
const store = (() => { try { return sessionStorage } catch { return {} } })()
const actions = JSON.parse(store.actions ?? '[]')

let view = viewOf(location.search)
let known = !('away' in main.dataset) // whether the backend has ever answered
let size = pageSize // how many todos to get
let busy = false // whether the visitor waits for todos
let failures = 0
let notice = $('notice').textContent
let newest = 0

function viewOf(search) {
  const query = new URLSearchParams(search)
  return { show: query.get('show') ?? '', after: Number(query.get('after') ?? 0) }
}

function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value)
  return given.length ? `${path}?${new URLSearchParams(given)}` : path
}

// Actions: the request of each, and its effect on the todos.

const requests = {
  add: ({ title }) => ['POST', '/todos', { title }],
  edit: ({ id, title }) => ['PATCH', `/todos/${id}`, { title }],
  complete: ({ id, completed }) => ['PATCH', `/todos/${id}`, { completed }],
  delete: ({ id }) => ['DELETE', `/todos/${id}`],
  clear: () => ['DELETE', '/todos?completed=true'],
}

function apply(action, state, answer) {
  const { counts } = state
  const at = state.todos.findIndex((todo) => todo.id === action.id)
  const todo = state.todos[at]
  const change = (changed) => {
    if (todo) state.todos.splice(at, 1, ...shown({ ...todo, ...changed }) ? [{ ...todo, ...changed }] : [])
  }
  switch (action.kind) {
    case 'add':
      state.todos = state.todos.filter(({ id }) => id !== answer?.id)
      state.todos.unshift(answer ?? { id: action.key, title: action.title, completed: false, waiting: true })
      if (answer) state.todos.sort((a, b) => b.id - a.id)
      counts.active++
      break
    case 'edit':
      change({ title: action.title })
      break
    case 'complete':
      if (todo && todo.completed !== action.completed) {
        counts.active += action.completed ? -1 : 1
        counts.completed += action.completed ? 1 : -1
      }
      change({ completed: action.completed })
      break
    case 'delete':
      if (todo) {
        counts[todo.completed ? 'completed' : 'active']--
        state.todos.splice(at, 1)
      }
      break
    case 'clear':
      counts.completed = 0
      state.todos = state.todos.filter((todo) => !todo.completed)
  }
}

const shown = (todo) => !view.show || todo.completed === (view.show === 'completed')

function act(action) {
  actions.push(action)
  notice = ''
  keep()
  render()
  say($('done'), done[action.kind] ?? '')
  wake()
}

const done = { add: 'Added.', edit: 'Changed.', delete: 'Deleted.', clear: 'Cleared.' }

const keep = () => { store.actions = JSON.stringify(actions) }

// Requests, one after the other.

let reading = null, sleeper = null

// wake ends a pause or a request that only reads, because the visitor's actions come first.
function wake() {
  reading?.abort()
  sleeper?.()
}

async function work() {
  if (known && !actions.length) await rest() // the page has just come
  for (;;) {
    try {
      while (actions.length) await send(actions[0])
      if (!document.hidden) await read()
      failures = 0
    } catch (error) {
      if (error.name === 'AbortError') continue
      failures++
    }
    render()
    if (failures || !actions.length) await rest()
  }
}

function rest() {
  const backoff = Math.min(maxBackoff, 1000 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2)
  return new Promise((resolve) => {
    sleeper = resolve
    if (!document.hidden || actions.length) setTimeout(resolve, failures ? backoff : pollInterval)
  })
}

async function request(path, options) {
  const response = await fetch(path, { cache: 'no-store', ...options })
  const refused = response.headers.get('Content-Type')?.startsWith('application/problem+json')
  if (response.status >= 500 || response.status === 429 || (response.status >= 400 && !refused)) {
    throw new Error(`${path}: ${response.status}`)
  }
  return response
}

async function send(action) {
  const [method, path, body] = requests[action.kind](action)
  const headers = body ? { 'Content-Type': 'application/json' } : {}
  if (action.key) headers['Idempotency-Key'] = action.key
  const signal = AbortSignal.timeout(timeout)
  const response = await request(path, { method, headers, body: body && JSON.stringify(body), signal })
  const gone = response.status === 404
  const answer = response.status === 204 ? null : await response.json()

  actions.shift()
  keep()
  etags.clear()
  if (response.ok || (gone && action.kind === 'delete')) {
    if (action.kind === 'add') rename(action.key, answer.id)
    apply(action, base, answer)
  } else {
    if (gone) base.todos = base.todos.filter(({ id }) => id !== action.id)
    refuse(action, gone ? 'That todo is gone: somebody deleted it.' : sentence(answer.detail))
  }
  render()
}

// refuse undoes an action that is already shown, and gives the visitor the text back.
function refuse(action, reason) {
  const row = rows.get(action.id)
  if (action.kind === 'edit' && row && base.todos.some(({ id }) => id === action.id)) {
    edit(row, action.title, reason)
  } else if (action.title && !field.value) {
    field.value = action.title
    complain(field, reason)
  } else {
    notice = action.title ? `${reason} (${action.title})` : reason
  }
}

async function read() {
  reading = new AbortController()
  const late = setTimeout(() => reading.abort(new Error('no answer')), timeout)
  try {
    const { signal } = reading
    const [list, counts] = await Promise.all([get(listAddress(), signal), get('/todos/counts', signal)])
    if (list) Object.assign(base, { todos: list.content, more: list.more })
    if (counts) base.counts = counts.content
    // Not before both have succeeded.
    for (const answer of [list, counts]) if (answer) etags.set(answer.path, answer.etag)
    known = true
    busy = false
  } finally {
    clearTimeout(late)
    reading = null
  }
}

function listAddress() {
  const completed = { active: 'false', completed: 'true' }[view.show]
  return address('/todos', { limit: size, completed, after: view.after })
}

// get returns null if nothing has changed.
async function get(path, signal) {
  const headers = etags.has(path) ? { 'If-None-Match': etags.get(path) } : {}
  const response = await request(path, { signal, headers })
  if (response.status === 304) return null
  const content = await response.json()
  const etag = response.headers.get('ETag') ?? ''
  return { path, content, etag, more: /rel="?next/.test(response.headers.get('Link')) }
}

// Rendering.

function render() {
  const state = { todos: [...base.todos], counts: { ...base.counts } }
  for (const action of actions) apply(action, state)
  renderRows(state.todos)

  const { active, completed } = state.counts
  $('active').textContent = count(active)
  $('completed').textContent = count(completed)
  $('left').hidden = !known
  $('clear').hidden = !completed

  main.dataset.show = view.show
  main.toggleAttribute('data-away', !known)
  main.setAttribute('aria-busy', busy)
  for (const link of main.querySelectorAll('nav a')) {
    if (link.dataset.show === view.show) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  $('more').hidden = !base.more
  $('more').href = address('/', { show: view.show, after: base.todos.at(-1)?.id })
  $('newest').hidden = !view.after
  $('newest').href = address('/', { show: view.show })

  $('away').hidden = failures < 2 && known // ignores a single failure
  $('kept').hidden = !actions.length
  say($('notice'), notice)
}

const count = (n) => n > maxCount ? `${count(maxCount)}+` : n.toLocaleString('en')

function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

function renderRows(todos) {
  const ids = new Set(todos.map(({ id }) => id))
  const focused = document.activeElement
  let heir = null
  for (const [id, row] of rows) {
    if (ids.has(id) || row.querySelector('.editor')) continue
    if (row.contains(focused)) heir = row.nextElementSibling ?? row.previousElementSibling
    row.remove()
    rows.delete(id)
  }
  let next = list.firstElementChild
  for (const todo of todos) {
    while (next && !ids.has(next.todo.id)) next = next.nextElementSibling
    let row = rows.get(todo.id)
    if (!row) {
      row = $('row').content.firstElementChild.cloneNode(true)
      rows.set(todo.id, row)
      row.classList.toggle('new', todo.waiting || (newest > 0 && todo.id > newest))
    }
    fill(row, todo)
    if (row === next) next = row.nextElementSibling
    else list.insertBefore(row, next)
  }
  newest = Math.max(newest, base.todos[0]?.id ?? 0)
  if (!focused.isConnected) {
    const control = ['check', 'delete', 'edit'].find((name) => focused.closest(`.${name}`)) ?? 'edit'
    const same = heir?.isConnected && heir.querySelector(`.${control}:not(label), .${control} input`)
    ;(same || field).focus()
  }
}

function fill(row, todo) {
  const was = row.todo
  row.todo = todo
  if (was === todo || row.querySelector('.editor')) return
  const [box, title, change, remove] =
    ['.check input', '.title', '.edit', '.delete'].map((name) => row.querySelector(name))
  const query = address('', view)
  row.id = `todo-${todo.id}`
  row.dataset.id = todo.id
  row.querySelector('form').action = `/form/complete/${todo.id}${query}`
  title.id = `title-${todo.id}`
  change.id = `edit-${todo.id}`
  remove.id = `delete-${todo.id}`
  change.href = address('/', { ...view, edit: todo.id })
  remove.formAction = `/form/delete/${todo.id}${query}`
  box.setAttribute('aria-labelledby', title.id)
  change.setAttribute('aria-labelledby', `${change.id} ${title.id}`)
  remove.setAttribute('aria-labelledby', `${remove.id} ${title.id}`)
  if (title.textContent !== todo.title) title.replaceChildren(...parts(todo.title))
  box.checked = todo.completed
  row.classList.toggle('waiting', !!todo.waiting)
  box.disabled = remove.disabled = change.inert = !!todo.waiting
}

// rename gives the row of a new todo the backend's ID.
function rename(key, id) {
  const row = rows.get(key)
  rows.delete(key)
  if (!row) return
  if (rows.has(id)) row.remove()
  else rows.set(id, row)
}

// parts finds links in a title like links.go.
function* parts(title) {
  let end = 0
  for (const { 0: found, index } of title.matchAll(/\bhttps?:\/\/[\p{L}\p{N}[][^\s<>"]*/giu)) {
    const link = withoutPunctuation(found)
    if (index > end) yield title.slice(end, index)
    const a = document.createElement('a')
    a.href = a.textContent = link
    a.target = '_blank'
    a.rel = 'noopener noreferrer'
    yield a
    end = index + link.length
  }
  if (end < title.length) yield title.slice(end)
}

function withoutPunctuation(link) {
  const opened = { ')': '(', ']': '[', '}': '{' }
  const times = (character) => link.split(character).length
  for (;;) {
    const last = link.at(-1)
    const unopened = opened[last] && times(opened[last]) < times(last)
    if (!unopened && !'.,;:!?\'*_~…’”»。，、！？）'.includes(last)) return link
    link = link.slice(0, -1)
  }
}

// Adding and editing.

const sentence = (detail) =>
  detail ? `${detail[0].toUpperCase()}${detail.slice(1)}.` : 'This is not possible.'

const length = (title) => [...title.trim()].length

function fault(title) {
  if (!title.trim()) return 'The title is empty.'
  return length(title) > maxTitle ? `The title has ${length(title)} characters; ${maxTitle} are allowed.` : ''
}

function complain(input, reason) {
  input.toggleAttribute('aria-invalid', false)
  if (reason) input.setAttribute('aria-invalid', 'true')
  say(input.form.querySelector('.error'), reason)
}

function hint() {
  const rest = maxTitle - length(field.value)
  const text = rest < 0 ? `${-rest} too many` : `${rest} left`
  say($('title-hint'), rest <= 20 ? text : '')
  $('title-hint').classList.toggle('over', rest < 0)
}

function edit(row, title = row.todo.title, reason = '') {
  if (typeof row.todo.id !== 'number') return
  row.replaceChildren($('edit').content.firstElementChild.cloneNode(true))
  adopt(row, title, reason)
}

// adopt initialises an editor, also one that the server has rendered.
function adopt(row, title, reason) {
  const input = row.querySelector('input'), error = row.querySelector('.error')
  error.id = `error-${row.todo.id}`
  input.setAttribute('aria-describedby', error.id)
  input.value = title
  complain(input, reason)
  input.focus()
}

function close(row) {
  const { todo } = row
  row.replaceChildren(...$('row').content.firstElementChild.cloneNode(true).childNodes)
  row.todo = null
  fill(row, todo)
  row.querySelector('.edit').focus()
  render()
}

function submitAdd() {
  const title = field.value.trim(), reason = fault(title)
  complain(field, reason)
  if (reason) return field.focus()
  field.value = ''
  hint()
  const show = view.show === 'completed' ? '' : view.show
  if (show !== view.show || view.after) go({ show, after: 0 })
  const random = crypto.getRandomValues(new Uint8Array(16))
  act({ kind: 'add', title, key: Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('') })
}

function submitEdit(row) {
  const input = row.querySelector('input'), title = input.value.trim(), reason = fault(title)
  complain(input, reason)
  if (reason) return input.focus()
  if (title !== row.todo.title) act({ kind: 'edit', id: row.todo.id, title })
  close(row)
}

function showMore() {
  size = Math.min(size + step, maxPage)
  busy = true
  render()
  wake()
}

// go changes the view. Todos that are already known show at once.
function go(to, keepAddress) {
  if (!keepAddress) history.pushState(null, '', address('/', to))
  view = to
  size = pageSize
  busy = true
  etags.clear()
  base.todos = base.todos.filter(shown)
  // The links in rows depend on the view.
  for (const row of rows.values()) if (row.todo) row.todo = { ...row.todo }
  render()
  wake()
}

document.addEventListener('submit', (event) => {
  const form = event.target, row = form.closest('li')
  event.preventDefault()
  if (form === add) submitAdd()
  else if (form.id === 'clear') act({ kind: 'clear' })
  else if (form.matches('.editor')) submitEdit(row)
  else if (event.submitter?.matches('.delete')) act({ kind: 'delete', id: row.todo.id })
})

list.addEventListener('change', ({ target }) => {
  if (target.type !== 'checkbox') return
  act({ kind: 'complete', id: target.closest('li').todo.id, completed: target.checked })
})

list.addEventListener('dblclick', ({ target }) => {
  if (target.closest('.title') && !target.closest('a')) edit(target.closest('li'))
})

list.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && event.target.closest('.editor')) close(event.target.closest('li'))
})

// The key press that opens an editor must not submit it.
let pressedIn = null
document.addEventListener('keydown', ({ target }) => { pressedIn = target }, true)
document.addEventListener('keypress', (event) => { if (event.target !== pressedIn) event.preventDefault() })

document.addEventListener('click', (event) => {
  const link = event.target.closest('a')
  if (!link || link.target || event.button) return
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  if (link.id === 'more' && size === maxPage) return // the next page
  event.preventDefault()
  const row = link.closest('li')
  if (link.matches('.edit')) edit(row)
  else if (link.matches('.cancel')) close(row)
  else if (link.id === 'retry') wake()
  else if (link.id === 'more') showMore()
  else go(viewOf(link.search))
})

field.addEventListener('input', () => {
  hint()
  complain(field, '')
})

addEventListener('popstate', () => go(viewOf(location.search), true))
addEventListener('online', wake)
document.addEventListener('visibilitychange', () => { if (!document.hidden) wake() })
addEventListener('beforeunload', (event) => { if (failures && actions.length) event.preventDefault() })

// The server's rendering is the first base.
for (const row of list.children) {
  const editor = row.querySelector('.editor'), input = row.querySelector('input')
  const id = Number(row.dataset.id)
  row.todo = editor
    ? { id, title: input.defaultValue, completed: 'completed' in editor.dataset }
    : { id, title: row.querySelector('.title').textContent, completed: input.defaultChecked }
  rows.set(row.todo.id, row)
  base.todos.push(row.todo)
  if (editor) {
    adopt(row, input.value, editor.querySelector('.error').textContent)
    history.replaceState(null, '', address('/', view))
  }
}
etags.set(listAddress(), list.dataset.etag)
base.counts = { active: Number($('active').dataset.count), completed: Number($('completed').dataset.count) }
base.more = !$('more').hidden
newest = base.todos[0]?.id ?? 0
document.documentElement.classList.add('js')
hint()
work()
