"""The fourth pack: a citizen hotline without C and without TypeScript loads and works (contracts, Packs); and what
every record type gets: checks, versions, history, search, filters, import, export, masks, scope, OpenAPI."""
import io
import json
import os
import subprocess
import urllib.parse
import zipfile

from bihuan import BIN, ROOT, Client, Server, check, done


def query(**parameters):
    return '?' + urllib.parse.urlencode(parameters)


def items(answer):
    return answer.json['items'] if answer.status == 200 else []


with Server('--demo', '--packs', str(ROOT / 'tests' / 'packs')) as server:
    admin = server.login_first()

    # the pack is there
    types = {f"{one['pack']}.{one['type']}": one for one in items(admin.get('core/types'))}
    check('its types are known', {'hotline.call', 'hotline.caller', 'hotline.street'} <= set(types), types.keys())
    menu = admin.get('core/menu')
    entries = {one.get('page'): one for group in menu.json['items'] for one in group.get('items', [])}
    check('its menu is shown, a page by its own title', entries['hotline.today']['title'] == {'zh-CN': '热线概况', 'en': 'Hotline today'},
          menu)
    page = admin.get('core/pages/hotline/today')
    check('its page is served', page.status == 200 and len(page.json['widgets']) == 5, page)
    words = admin.get('core/words?lang=en')
    check('its words are among the words', words.json.get('hotline.state.visiting') == 'to be called back', words.status)
    schema = admin.get('core/types/hotline/call', headers={'Accept-Language': 'en'})
    check('a type is described with its dictionary', schema.json['properties']['kind']['x-labels'].get('road'), schema)
    check('reference data were loaded', len(items(admin.get('hotline/street'))) == 3)
    callers = items(admin.get('hotline/caller?labels=1'))
    check('demo data were loaded, references by key', [c['_labels'].get('street') for c in callers] == ['东关街道', '西湖街道'], callers)
    openapi = admin.get('openapi.json')
    check('OpenAPI 3.1 holds it', openapi.json['openapi'] == '3.1.0' and '/api/v1/hotline/call/{id}' in openapi.json['paths'])

    # records
    streets = {one['code']: one['id'] for one in items(admin.get('hotline/street'))}
    made = admin.post('hotline/call', {'title': '深夜施工噪音', 'kind': 'noise', 'street': streets['001'], 'caller': callers[0]['id'],
                                       'description': '凌晨两点仍在施工'})
    check('a call is taken: 201, place, version', made.status == 201 and made.headers['Location'].endswith(made.json['id'])
          and made.headers['ETag'] == '"1"' or made.json.get('version', 0) > 1, made)
    call = made.json
    check('it has a number', call['number'].startswith('RX-2') and call['number'].endswith('-00001'), call)
    for claim, body, code, pointer in [
            ('an unknown field is told', {'title': 'x', 'nope': 1}, 'entity.unknown_field', '/nope'),
            ('a wrong type is told', {'title': 7, 'kind': 'noise', 'street': streets['001']}, 'entity.wrong_type', '/title'),
            ('too long is told', {'title': 'x' * 121, 'kind': 'noise', 'street': streets['001']}, 'entity.too_long', '/title'),
            ('a missing field is told', {'title': 'x', 'kind': 'noise'}, 'entity.required', '/street'),
            ('a code out of the dictionary is told', {'title': 'x', 'kind': 'magic', 'street': streets['001']}, 'entity.no_code', '/kind'),
            ('a reference to nothing is told', {'title': 'x', 'kind': 'noise', 'street': '1'}, 'entity.reference', '/street'),
            ('a rule in FEEL is told', {'title': 'x', 'kind': 'noise', 'street': streets['001'], 'urgent': True}, 'entity.rule', '/description'),
            ('what the engine sets cannot be sent', {'title': 'x', 'kind': 'noise', 'street': streets['001'], 'number': '1'}, 'entity.read_only', '/number')]:
        answer = admin.post('hotline/call', body)
        check(claim, answer.status == 422 and answer.code == code and answer.json['errors'][0]['pointer'] == pointer, answer)
    check('all faults are told at once', len(admin.post('hotline/call', {'title': 7, 'kind': 8, 'people': 0}).json['errors']) == 3)
    duplicate = admin.post('hotline/street', {'code': '001', 'name': 'x'})
    check('a code that is taken: 409', duplicate.status == 409 and duplicate.code == 'entity.duplicate', duplicate)

    path = 'hotline/street/' + streets['003']
    check('a change without If-Match: 428', admin.patch(path, {'name': 'x'}).status == 428)
    changed = admin.patch(path, {'name': '新城街道办'}, version=1)
    check('a change: 200 and the next version', changed.status == 200 and changed.json['version'] == 2 and changed.headers['ETag'] == '"2"', changed)
    stale = admin.patch(path, {'name': 'y'}, version=1)
    check('a stale one: 412 with both versions', stale.status == 412 and '2' in stale.body.decode() and '1' in stale.body.decode(), stale)
    history = items(admin.get(path + '/history'))
    check('the history tells before and after', history and history[0]['changes']['name'] == {'before': '新城街道', 'after': '新城街道办'}, history)
    check('what is referred to stays', admin.delete('hotline/street/' + streets['001'], version=1).status == 409)
    check('a record that is not there: 404', admin.get('hotline/call/123').status == 404)
    check('a type that is not there: 404', admin.get('hotline/nothing').status == 404)

    # lists
    for n in range(7):
        answer = admin.post('hotline/call', {'title': f'路灯不亮 {n}', 'kind': 'road', 'street': streets['002'], 'people': n + 1, 'urgent': n == 3, 'description': '广场东侧路灯'})
    pages, after = [], ''
    while True:
        got = admin.get('hotline/call' + query(limit=3, sort='people', after=after) if after else 'hotline/call' + query(limit=3, sort='people')).json
        pages.append([one['people'] for one in got['items']])
        after = got['next']
        if not after:
            break
    check('pages follow each other without gap', sum(pages, []) == [None, 1, 2, 3, 4, 5, 6, 7], pages)
    check('count apart', admin.get('hotline/call?count=1').json == {'count': 8, 'exact': True})
    check('a FEEL filter', len(items(admin.get('hotline/call' + query(filter='people >= 3 and people < 6 and kind = "road"')))) == 3)
    check('a filter by reference', len(items(admin.get('hotline/call' + query(filter=f'street = "{streets["001"]}"')))) == 1)
    wrong = admin.get('hotline/call' + query(filter='people >'))
    check('a bad filter: 422 with line and column', wrong.status == 422 and wrong.json['errors'][0].get('column'), wrong)
    check('no filter by undeclared fields', admin.get('hotline/call' + query(filter='answer = "x"')).status == 422)
    check('no sorting by undeclared fields', admin.get('hotline/call' + query(sort='answer')).code == 'entity.not_sortable')
    check('search of two characters', len(items(admin.get('hotline/call' + query(q='路灯')))) == 7)
    check('search of one character', len(items(admin.get('hotline/call' + query(q='噪')))) == 1)
    check('search is no bag of characters', len(items(admin.get('hotline/call' + query(q='灯路')))) == 0)
    check('search and filter together', len(items(admin.get('hotline/call' + query(q='广场 路灯', filter='urgent = true')))) == 1)

    # queries
    by_street = admin.get('core/queries/hotline/by_street')
    check('a query of the pack', [(r['street'], r['calls']) for r in items(by_street)] == [('西湖街道', 7), ('东关街道', 1)], by_street)
    check('with a parameter', [r['calls'] for r in items(admin.get('core/queries/hotline/by_street?kind=noise'))] == [1])
    check('over all cases', items(admin.get('core/queries/hotline/totals'))[0] == {'calls': 8, 'callers': 1})

    # the flow
    tasks = items(admin.get('core/tasks?mine=1&limit=50'))
    mine = [t for t in tasks if t.get('case', {}).get('id') == call['id'] or t.get('case_id') == call['id'] or t.get('case') == call['id']]
    check('the call is a task for those who may dispatch', len(mine) == 1, tasks[:1])
    if mine:
        answer = admin.post(f"core/tasks/{mine[0]['id']}/complete", {'action': 'done', 'fields': {'kind': 'noise'}})
        check('it is dispatched', answer.status in (200, 204), answer)
        now = admin.get('hotline/call/' + call['id']).json
        check('and now being handled', now['state'] == 'handling', now)

    # tables
    csv = admin.get('hotline/street/export?format=csv')
    check('export as CSV', csv.status == 200 and csv.body.decode('utf-8-sig').splitlines()[0].endswith('code,name'), csv)
    back = admin.ask('POST', 'hotline/street/import?dry_run=1', raw=csv.body, headers={'Content-Type': 'text/csv'})
    check('what was exported imports as unchanged', back.status == 200 and back.json['unchanged'] == 3 and not back.json['errors'], back)
    bad = 'code,name\n004,ok\nxx,bad code\n005\n001,again,more\n'.encode()
    preview = admin.ask('POST', 'hotline/street/import?dry_run=1', raw=bad, headers={'Content-Type': 'text/csv'})
    check('a preview tells line and column', preview.status == 200 and (preview.json['errors'][0]['line'], preview.json['errors'][0]['column']) == (3, 1), preview)
    refused = admin.ask('POST', 'hotline/street/import', raw=bad, headers={'Content-Type': 'text/csv'})
    check('an import with faults changes nothing', refused.status == 422 and len(items(admin.get('hotline/street'))) == 3, refused)
    good = 'code,name\n003,新城街道\n004,湖滨街道\n'.encode()
    taken = admin.ask('POST', 'hotline/street/import', raw=good, headers={'Content-Type': 'text/csv'})
    check('an import adds and updates by key', taken.status == 200 and (taken.json['created'], taken.json['updated']) == (1, 1), taken)
    xlsx = admin.get('hotline/call/export?format=xlsx')
    sheet = zipfile.ZipFile(io.BytesIO(xlsx.body)).read('xl/worksheets/sheet1.xml').decode() if xlsx.status == 200 else ''
    check('export as xlsx with titles', '西湖街道' in sheet and '事发街道' in sheet, xlsx.status)

    # attachments
    boundary = 'hotline-boundary'
    part = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="note.pdf"\r\nContent-Type: text/html\r\n\r\n'
            '%PDF-1.4 page\r\n' f'--{boundary}--\r\n').encode()
    there = f"hotline/call/{call['id']}/files"
    added = admin.ask('POST', there, raw=part, headers={'Content-Type': f'multipart/form-data; boundary={boundary}'})
    check('an attachment is taken, its type is what it shows', added.status == 201 and added.json['type'] == 'application/pdf', added)
    check('it is listed', [one['name'] for one in items(admin.get(there))] == ['note.pdf'])
    if added.status == 201:
        content = admin.get(there + '/' + added.json['id'])
        check('and comes back whole, as a download', content.body == b'%PDF-1.4 page' and 'attachment' in content.headers['Content-Disposition'], content)
        check('not by the path of another record', admin.get(f"hotline/caller/{callers[0]['id']}/files/{added.json['id']}").status == 404)
        check('it goes', admin.delete(there + '/' + added.json['id']).status == 204 and not items(admin.get(there)))

    # by command line, through the running server
    def run(*words, text=None):
        return subprocess.run([BIN, *words, '--data', server.data], input=text, capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, LC_ALL='C'))
    told = run('import', 'hotline.street', '--dry-run', text='code,name\n004,x\nzz,y\n')
    check('bihuan import tells FILE:LINE:COLUMN and exits 1', told.returncode == 1 and told.stdout.startswith('-:3:1: '), told)
    told = run('import', 'hotline.street', text='code,name\n005,Lakeside\n')
    check('bihuan import', told.returncode == 0 and '1 new' in told.stdout, told)
    told = run('export', 'hotline.street', '--filter', 'code = "005"')
    check('bihuan export with a filter', told.returncode == 0 and told.stdout.strip().endswith('005,Lakeside'), told)
    told = run('export', 'hotline.street', '--format', 'json')
    check('bihuan export as JSON', told.returncode == 0 and len(json.loads(told.stdout)) == 5, told)
    check('no such type: exit 1', run('export', 'hotline.nothing').returncode == 1)

    # who may see what
    root = admin.get('core/orgs').json['items'][0]
    a = admin.post('core/orgs', {'code': 'a', 'name': 'A', 'parent': root['id']}).json
    b = admin.post('core/orgs', {'code': 'b', 'name': 'B', 'parent': root['id']}).json
    for one, org in ((callers[0], a), (callers[1], b)):
        admin.patch('hotline/caller/' + one['id'], {'org': org['id']}, version=one['version'])
    rights = ['hotline.caller.read', 'hotline.caller.update', 'hotline.caller.create']
    role = admin.post('core/roles', {'code': 'desk', 'name': 'desk', 'permissions': rights}).json
    made = admin.post('core/users', {'login': 'desk', 'name': 'Desk', 'org': a['id']})
    desk_user = made.json
    granted = admin.put(f"core/users/{desk_user['id']}/grants", {'items': [{'role': role['id'], 'org': a['id']}]}, 1)
    check('somebody for one organisation only', granted.status in (200, 204), granted)
    desk = Client(server)
    desk.login('desk', desk_user['password'])
    desk.change_password(desk_user['password'], 'Left-Horse-88')
    desk.login('desk', 'Left-Horse-88')
    seen = items(desk.get('hotline/caller'))
    check('sees the rows of that organisation', [one['code'] for one in seen] == ['c-1'], seen)
    check('with the phone masked', seen and seen[0]['phone'] == '138****5678', seen)
    check('a row outside is as if absent', desk.get('hotline/caller/' + callers[1]['id']).status == 404)
    check('also to changes', desk.patch('hotline/caller/' + callers[1]['id'], {'name': 'x'}, version=2).status == 404)
    check('moving a row out: 403', desk.patch('hotline/caller/' + callers[0]['id'], {'org': b['id']}, version=2).status == 403)
    check('making one outside: 403', desk.post('hotline/caller', {'code': 'c-9', 'name': 'x', 'org': b['id']}).status == 403)
    check('making one inside', desk.post('hotline/caller', {'code': 'c-9', 'name': 'x', 'org': a['id']}).status == 201)
    check('no right: 403', desk.get('hotline/call').status == 403 and desk.delete('hotline/caller/' + callers[0]['id'], version=2).status == 403)
    check('a page without the right: 403', desk.get('core/pages/hotline/today').status == 403)
    check('types one may not read are not listed', {f"{one['pack']}.{one['type']}" for one in items(desk.get('core/types'))} == {'hotline.caller'})
    check('a query over them: 403', desk.get('core/queries/hotline/by_street').status == 403)

done()
