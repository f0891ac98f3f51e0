"""The interface tells of itself: GET /api/v1/openapi.json is valid OpenAPI 3.1, whole, and what it says is so."""
import re

from bihuan import Client, Server, check, done

METHODS = {'get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'}
TYPES = {'string', 'integer', 'number', 'boolean', 'array', 'object', 'null'}


def faults(document):
    """What the OpenAPI 3.1 specification does not allow, as far as this document could break it."""
    out = []

    def resolve(ref, where):
        at = document
        if not ref.startswith('#/'):
            return out.append(f'{where}: {ref} leads elsewhere')
        for part in ref[2:].split('/'):
            part = part.replace('~1', '/').replace('~0', '~')
            if not isinstance(at, dict) or part not in at:
                return out.append(f'{where}: {ref} is nowhere')
            at = at[part]
        return at

    def schema(one, where):
        if isinstance(one, bool):
            return
        if not isinstance(one, dict):
            return out.append(f'{where}: no schema')
        if '$ref' in one:
            resolve(one['$ref'], where)
        kinds = one.get('type', [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind not in TYPES:
                out.append(f'{where}: type {kind}')
        for name, kind in (('minLength', int), ('maxLength', int), ('pattern', str), ('enum', list), ('required', list),
                           ('title', str), ('description', str), ('format', str)):
            if name in one and not isinstance(one[name], kind):
                out.append(f'{where}: {name} is {one[name]!r}')
        for name, below in (one.get('properties') or {}).items():
            schema(below, f'{where}/{name}')
        for name in one.get('required', []):
            if name not in one.get('properties', {}):
                out.append(f'{where}: requires {name}, which is none of its properties')
        for name in ('items', 'additionalProperties', 'not'):
            if name in one:
                schema(one[name], f'{where}/{name}')
        for name in ('oneOf', 'anyOf', 'allOf'):
            for i, below in enumerate(one.get(name, [])):
                schema(below, f'{where}/{name}/{i}')

    def content(one, where):
        for media, body in one.items():
            if not re.fullmatch(r'[a-z]+/[a-z0-9.+*-]+', media):
                out.append(f'{where}: media type {media}')
            if 'schema' in body:
                schema(body['schema'], f'{where} {media}')

    def response(one, where):
        one = resolve(one['$ref'], where) if '$ref' in one else one
        if one is None or not isinstance(one.get('description'), str):
            return out.append(f'{where}: a response says what it is')
        content(one.get('content', {}), where)

    def parameters(list_, path, where):
        names = set()
        for one in list_:
            if (one['name'], one['in']) in names:
                out.append(f'{where}: {one["name"]} twice')
            names.add((one['name'], one['in']))
            if one['in'] not in ('path', 'query', 'header', 'cookie') or ('schema' in one) == ('content' in one):
                out.append(f'{where}: parameter {one}')
            if one['in'] == 'path' and (one.get('required') is not True or '{' + one['name'] + '}' not in path):
                out.append(f'{where}: {one["name"]} is not in the path')
            schema(one.get('schema', {}), f'{where} {one["name"]}')
        return {name for name, place in names if place == 'path'}

    if not re.fullmatch(r'3\.1\.\d+', document.get('openapi', '')):
        out.append('openapi')
    if not all(isinstance(document['info'].get(k), str) for k in ('title', 'version')):
        out.append('info')
    ids, shapes = set(), {}
    for path, item in document['paths'].items():
        if not path.startswith('/'):
            out.append(f'{path}: begins with no /')
        shape = re.sub(r'\{[^}]*\}', '{}', path)
        if shapes.setdefault(shape, path) != path:
            out.append(f'{path} and {shapes[shape]} are one path')
        common = parameters(item.get('parameters', []), path, path)
        for method, op in item.items():
            if method == 'parameters':
                continue
            where = f'{method} {path}'
            if method not in METHODS:
                out.append(f'{where}: no method')
            if op['operationId'] in ids:
                out.append(f'{where}: operationId {op["operationId"]} twice')
            ids.add(op['operationId'])
            got = common | parameters(op.get('parameters', []), path, where)
            if got != set(re.findall(r'\{([^}]*)\}', path)):
                out.append(f'{where}: parameters {got}')
            if not op.get('responses'):
                out.append(f'{where}: no responses')
            for status, one in op.get('responses', {}).items():
                if not re.fullmatch(r'default|[1-5](\d\d|XX)', status):
                    out.append(f'{where}: status {status}')
                response(one, f'{where} {status}')
            if 'requestBody' in op:
                content(op['requestBody']['content'], where)
            for need in op.get('security', document.get('security', [])):
                for name in need:
                    if name not in document['components']['securitySchemes']:
                        out.append(f'{where}: security {name}')
    for name, one in document['components']['schemas'].items():
        if not re.fullmatch(r'[A-Za-z0-9._-]+', name):
            out.append(f'{name}: no name of a component')
        schema(one, name)
    return out


with Server() as server:
    admin = server.login_first()
    answer = Client(server).get('openapi.json')
    check('nobody sees it without a session', answer.status == 401, answer)
    answer = admin.get('openapi.json')
    check('it is there', answer.status == 200, answer)
    document = answer.json
    found = faults(document)
    check('it is valid OpenAPI 3.1', not found, found[:10])
    broken = {**document, 'paths': {**document['paths'], '/x/{y}': {'get': {'operationId': 'o', 'responses': {
        '200': {'$ref': '#/nowhere'}}}}}}
    check('(a fault would be found)', len(faults(broken)) >= 2, faults(broken))
    paths = document['paths']
    for path, method in (('/healthz', 'get'), ('/api/v1/core/session', 'post'), ('/api/v1/core/events', 'get'),
                         ('/api/v1/core/jobs/{id}/cancel', 'post'), ('/api/v1/core/alarms/ack', 'post'),
                         ('/api/v1/core/tasks/{id}/complete', 'post'), ('/api/probe/v1/batch', 'post'),
                         ('/api/v1/openapi.json', 'get'), ('/api/v1/ops/ticket', 'get'), ('/api/v1/ops/ticket/{id}', 'patch'),
                         ('/api/v1/ops/ticket/{id}/history', 'get'), ('/api/v1/ops/contact/import', 'post'),
                         ('/api/v1/ops/contact/{id}/files/{file}', 'get')):
        check(f'it holds {method.upper()} {path}', method in paths.get(path, {}), sorted(paths)[:5])
    check('every operation says what it does and which permission it needs',
          all(op.get('summary') and 'x-permission' in op and not op['summary'].startswith('api.')
              for item in paths.values() for m, op in item.items() if m != 'parameters'))
    check('records have a schema of their own', document['components']['schemas']['ops.ticket']['properties'].get('title'))
    check('a public route asks for nothing', paths['/healthz']['get']['security'] == []
          and 'security' not in paths['/api/v1/core/users']['get'])
    admin.patch('core/session', {'lang': 'en'})
    words = admin.get('openapi.json').json['paths']['/api/v1/core/jobs']['get']['summary']
    check("summaries are in the reader's language", words != paths['/api/v1/core/jobs']['get']['summary'], words)

    # ---- what it says is so: every path is one that the server knows, with that method and no other ----
    wrong = []
    for path, item in paths.items():
        real = re.sub(r'\{[^}]*\}', '1', path)
        for method in ('get', 'post', 'patch', 'put', 'delete'):
            if path in ('/api/v1/core/events', '/api/v1/core/session') or path.startswith('/api/probe'):
                continue
            if method in item:
                continue
            # 404: the path fits that of records, whose type it then does not find
            got = admin.ask(method.upper(), real, {} if method in ('post', 'patch', 'put') else None,
                            headers={'If-Match': '"1"'}).status
            if got not in (404, 405):
                wrong.append((method, path, got))
    check('a method that is not described is not there', not wrong, wrong[:10])
    unknown = [path for path, item in paths.items() if 'get' in item and '{' not in path
               and path not in ('/api/v1/core/events',) and admin.get(path).status in (404, 405)]
    check('every list that is described answers', not unknown, unknown)

    # ---- who may read less is shown less ----
    role = admin.post('core/roles', {'code': 'r', 'name': 'r', 'permissions': ['ops.contact.read']}).json
    user = admin.post('core/users', {'login': 'few', 'name': 'f', 'org': admin.get('core/session').json['user']['org']}).json
    admin.put(f"core/users/{user['id']}/grants", {'items': [{'role': role['id'], 'all': True}]}, user['version'])
    few = server.client()
    few.login('few', user['password'])
    few.change_password(user['password'], 'Grey-Elephants-1')
    answer = few.get('openapi.json')
    check('it is there for everybody', answer.status == 200, answer)
    own = answer.json
    check('types that one may not read are left out', '/api/v1/ops/contact' in own['paths'] and '/api/v1/ops/ticket' not in own['paths']
          and 'ops.ticket' not in own['components']['schemas'], sorted(own['components']['schemas']))
    check('and that is valid too', not faults(own), faults(own)[:10])
done()
