// What the stand-in server knows: a small office with a few things going wrong.  Development only.
const NOW = Date.now()
const MIN = 60_000
const at = (minutes) => new Date(NOW + minutes * MIN).toISOString()
const two = (zh, en) => ({ 'zh-CN': zh, en })

export const session = {
  user: { id: '1', name: '周敏', login: 'demo', org: { id: '1', name: '市数据局' } },
  permissions: ['*'],
  csrf: 'mock',
  mustChangePassword: false,
  lang: 'zh-CN',
}

export const engine = {
  'core.org': [
    { id: '1', name: '市数据局', code: 'SJJ', parent_id: null, path: '/1/' },
    { id: '2', name: '运维中心', code: 'YWZX', parent_id: '1', path: '/1/2/' },
    { id: '3', name: '网络科', code: 'WLK', parent_id: '2', path: '/1/2/3/' },
    { id: '4', name: '市场监管局', code: 'SCJG', parent_id: null, path: '/4/' },
  ],
  'core.user': [
    { id: '1', name: '周敏', login: 'zhoumin', org: '2', state: 'active', roles: ['1'], totp: true, last_login_at: at(-18) },
    { id: '2', name: '李建国', login: 'lijg', org: '3', state: 'active', roles: ['2'], totp: false, last_login_at: at(-300) },
    { id: '3', name: '王芳', login: 'wangf', org: '2', state: 'locked', roles: ['2'], totp: false, last_login_at: at(-9000) },
  ],
  'core.role': [
    { id: '1', name: '管理员', code: 'admin', permissions: ['*'], users: 1 },
    { id: '2', name: '值班员', code: 'duty', permissions: ['core.alarm.*', 'ops.ticket.*'], users: 6 },
  ],
}

const text = (zh, en, more = {}) => ({ type: 'string', 'x-title': two(zh, en), ...more })
const code = (zh, en, labels) => ({ type: 'string', 'x-title': two(zh, en), enum: Object.keys(labels), 'x-labels': labels })
export const types = {
  'ops.ticket': {
    'x-kind': 'case', 'x-title': two('工单', 'Ticket'), 'x-list': ['number', 'title', 'state', 'level', 'service', 'assignee', 'due_at', 'opened_at'], 'x-search': ['title'], 'x-label': 'title',
    required: ['title', 'level', 'service'],
    properties: {
      number: text('编号', 'Number', { readOnly: true }), title: text('标题', 'Title', { maxLength: 200 }),
      state: { ...code('状态', 'State', { open: two('待受理', 'New'), handling: two('处理中', 'In progress'), confirm: two('待确认', 'To confirm'), closed: two('已关闭', 'Closed') }), readOnly: true },
      level: code('级别', 'Level', { 1: two('一级', 'Level 1'), 2: two('二级', 'Level 2'), 3: two('三级', 'Level 3'), 4: two('四级', 'Level 4') }),
      service: text('服务', 'Service', { 'x-ref': 'ops.service' }), subject: text('对象', 'Subject', { 'x-ref': 'ops.system' }), assignee: text('处理人', 'Assignee', { 'x-ref': 'core.user' }),
      due_at: text('下一时限', 'Next deadline', { format: 'date-time', readOnly: true }), opened_at: text('开立', 'Opened', { format: 'date-time', readOnly: true }), closed_at: text('关闭', 'Closed', { format: 'date-time', readOnly: true }),
      description: text('描述', 'Description', { maxLength: 4000 }),
    },
  },
  'core.check': {
    'x-kind': 'plain', 'x-title': two('拨测', 'Check'), 'x-list': ['name', 'state', 'protocol', 'target', 'subject', 'interval', 'enabled'], 'x-search': ['name'], required: ['name', 'protocol', 'target'],
    properties: {
      name: text('名称', 'Name'), state: { ...code('状态', 'State', { up: two('正常', 'Up'), down: two('故障', 'Down'), no_data: two('无数据', 'No data') }), readOnly: true },
      protocol: code('方式', 'Kind', { https: two('HTTPS', 'HTTPS'), tcp: two('TCP', 'TCP'), icmp: two('ICMP', 'ICMP'), dns: two('DNS', 'DNS') }),
      target: text('目标', 'Target', { maxLength: 500 }), subject: text('对象', 'Subject', { 'x-ref': 'ops.system' }),
      interval: { type: 'integer', 'x-title': two('间隔', 'Interval'), 'x-unit': 's', minimum: 5, maximum: 86400, default: 30 },
      timeout: { type: 'integer', 'x-title': two('超时', 'Timeout'), 'x-unit': 's', minimum: 1, maximum: 60, default: 10 },
      enabled: { type: 'boolean', 'x-title': two('启用', 'Enabled'), default: true },
      steps: { type: 'array', 'x-title': two('步骤', 'Steps'), items: { type: 'object', required: ['url'], properties: { url: text('地址', 'URL'), method: code('方法', 'Method', { GET: two('GET', 'GET'), POST: two('POST', 'POST') }), expect: { type: 'integer', 'x-title': two('状态码', 'Status') } } } },
    },
  },
}

export function records(rows) {
  const services = rows.get('ops.service') ?? []
  const s = (i) => services[i]?.id
  const systems = [
    { code: 'SYS-001', name: '许昌市政府门户网站', kind: 'website', service: s(0), url: 'https://www.example.gov.cn', importance: 'core' },
    { code: 'SYS-002', name: '政务服务网', kind: 'application', service: s(2), url: 'https://zwfw.example.gov.cn', importance: 'core' },
    { code: 'SRV-017', name: '门户数据库服务器', kind: 'server', service: s(0), ip: '10.12.3.17' },
    { code: 'NET-004', name: '核心交换机 A', kind: 'network-device', service: s(5), ip: '10.12.0.1' },
  ].map((r, i) => ({ id: String(9000 + i), ...r }))
  return {
    'ops.system': systems,
    'ops.ticket': [
      ['门户网站无法访问', 'handling', '1', 0, '9000', '1', 14], ['政务服务网登录缓慢', 'open', '2', 2, '9001', null, 52], ['数据库备份未完成', 'confirm', '3', 0, '9002', '2', 600],
      ['视频会议室画面卡顿', 'handling', '3', 5, null, '2', -12], ['证书将于 6 天后到期', 'open', '4', 1, '9000', null, 2900], ['交换机端口误码', 'closed', '4', 5, '9003', '2', null],
    ].map(([title, state, level, service, subject, assignee, due], i) => ({ id: String(7000 + i), number: `GZ-20261121-${String(42 - i).padStart(4, '0')}`, title, state, level, service: s(service), subject, assignee, due_at: due === null ? null : at(due), opened_at: at(-46 - i * 90), closed_at: state === 'closed' ? at(-400) : null, description: '监测点两次探测均超时，用户反映首页打不开。' })),
    'core.check': [
      ['门户首页', 'down', 'https', 'https://www.example.gov.cn/', '9000'], ['政务服务网登录页', 'up', 'https', 'https://zwfw.example.gov.cn/login', '9001'], ['核心交换机', 'up', 'icmp', '10.12.0.1', '9003'], ['门户域名解析', 'no_data', 'dns', 'www.example.gov.cn', '9000'],
    ].map(([name, state, protocol, target, subject], i) => ({ id: String(6000 + i), name, state, protocol, target, subject, interval: 30, timeout: 10, enabled: true, steps: protocol === 'https' ? [{ url: target, method: 'GET', expect: 200 }] : [] })),
  }
}

export const history = (row) => [
  { version: 2, at: at(-60), by: '1', by_name: '周敏', action: 'update', changes: { importance: { before: null, after: 'core' }, name: { before: row.name, after: row.name } } },
  { version: 1, at: row.created_at, by: '1', by_name: '周敏', action: 'create' },
]

const alarm = (id, grade, state, title, subject, opened, more = {}) => ({ id, grade, state, title, subject: { id: '9000', type: 'ops.system', name: subject }, service: { id: '100041', name: '许昌市政府门户网站群集约化平台' }, opened_at: at(opened), last_at: at(-1), count: 3, children: 0, owner: null, ticket: null, suppressed: null, ...more })
export const alarms = [
  alarm('a1', 1, 'open', '网站不可访问：连续 2 个探测节点失败', '许昌市政府门户网站', -22, { children: 3, count: 44, ticket: { id: '7000', number: 'GZ-20261121-0042' }, owner: { id: '1', name: '周敏' } }),
  alarm('a2', 2, 'open', '响应时间超过 3 秒', '政务服务网', -64, { count: 12 }),
  alarm('a3', 3, 'acked', '数据库备份未按时完成', '门户数据库服务器', -310, { owner: { id: '2', name: '李建国' }, count: 1 }),
  alarm('a4', 4, 'open', '证书 6 天后到期', '许昌市政府门户网站', -1500, { count: 2 }),
  alarm('a5', 2, 'suppressed', '端口误码率升高', '核心交换机 A', -35, { suppressed: { kind: 'maintenance', text: '维护窗口：核心网升级（至 11-21 23:00）' } }),
  alarm('a6', 3, 'cleared', '磁盘使用率 91%', '日志服务器', -700, { cleared_at: at(-90) }),
  ...['后台管理页不可访问', '接口 /api/news 超时', '站群同步失败'].map((title, i) => alarm('c' + i, 2, 'suppressed', title, '许昌市政府门户网站', -21, { parent_id: 'a1', suppressed: { kind: 'parent', text: '上级告警未恢复：网站不可访问' } })),
]

const task = (id, name, node, caseId, number, title, level, due, start, more = {}) => ({ id, name, node, state: 'open', mine: true, claimable: false, assignee: { id: '1', name: '周敏' }, opened_at: at(start), due_at: due === null ? null : at(due), late: due < 0, case: { id: caseId, number, title, type: 'ops.ticket', state: 'handling', state_label: '处理中', level, service: '许昌市政府门户网站群集约化平台' }, ...more })
export const tasks = [
  task('t1', '处理', 'handle', '7000', 'GZ-20261121-0042', '门户网站无法访问', '1', 14, -46),
  task('t2', '受理', 'accept', '7001', 'GZ-20261121-0041', '政务服务网登录缓慢', '2', 52, -136, { assignee: null, claimable: true, mine: true }),
  task('t3', '处理', 'handle', '7003', 'GZ-20261121-0039', '视频会议室画面卡顿', '3', -12, -316),
  task('t4', '确认', 'confirm', '7002', 'GZ-20261121-0040', '数据库备份未完成', '3', 600, -226),
]

const STATES = { running: '计时中', met: '按时', late: '超时完成', breached: '已超时', paused: '暂停', waived: '不需要', not_agreed: '未约定' }
const clock = (name, label, state, limit, used, due, more = {}) => ({ clock: name, label, state, state_label: STATES[state], limit_ms: limit * MIN, used_ms: used * MIN, due_at: due === null ? null : at(due), reached_at: null, calendar: 'always', source: 'own', source_label: '服务自有时限 · 一级', row: '12', workaround: false, ...more })
const clocks = [
  clock('respond', '响应', 'met', 10, 4, -36, { reached_at: at(-42) }),
  clock('contact', '联系用户', 'met', 20, 11, -26, { reached_at: at(-35) }),
  clock('arrive', '到场', 'waived', 60, 0, null),
  clock('restore', '恢复', 'running', 60, 46, 14),
  clock('solve', '解决', 'running', 240, 46, 194),
  clock('report', '报告', 'running', 480, 46, 434),
  clock('plan', '方案', 'not_agreed', 0, 0, null),
]
const node = (id, kind, name, x, y, state) => ({ id, kind, name, x, y, width: /task/i.test(kind) ? 100 : 36, height: /task/i.test(kind) ? 64 : 36, state })
const picture = {
  name: '故障处理',
  nodes: [node('s', 'startEvent', '', 40, 54, 'done'), node('accept', 'userTask', '受理', 130, 40, 'done'), node('dispatch', 'userTask', '派单', 280, 40, 'done'), node('handle', 'userTask', '处理', 430, 40, 'here'), node('g', 'exclusiveGateway', '', 580, 54, 'ahead'), node('confirm', 'userTask', '确认', 670, 40, 'ahead'), node('e', 'endEvent', '关闭', 820, 54, 'ahead')],
  edges: [[[76, 72], [130, 72]], [[230, 72], [280, 72]], [[380, 72], [430, 72]], [[530, 72], [580, 72]], [[616, 72], [670, 72]], [[770, 72], [820, 72]], [[598, 90], [598, 140], [480, 140], [480, 104]]].map((points, i) => ({ id: 'f' + i, points, passed: i < 3, name: i === 6 ? '退回' : '' })),
}
const me = { id: '1', name: '周敏' }
const caseOf = (row) => ({
  id: row.id, type: 'ops.ticket', number: row.number, title: row.title, state: row.state, state_label: { open: '待受理', handling: '处理中', confirm: '待确认', closed: '已关闭' }[row.state], service: '许昌市政府门户网站群集约化平台', level: row.level, opened_at: row.opened_at, closed_at: row.closed_at, version: row.version, paused: false, prior: null,
  tasks: tasks.filter((one) => one.case.id === row.id), clocks, flow: picture, may: ['pause', 'reach', 'cancel'],
  timeline: [
    { id: 'e1', at: at(-46), kind: 'opened', label: '由告警“网站不可访问”开单', by: null, voided: false },
    { id: 'e2', at: at(-45), kind: 'noted', label: '已通知 周敏（短信、站内）', by: null },
    { id: 'e3', at: at(-42), kind: 'reached', label: '受理', by: me },
    { id: 'e4', at: at(-35), kind: 'reached', label: '派单给 周敏', by: me, text: '先查负载均衡，再查数据库连接。' },
    { id: 'e5', at: at(-30), kind: 'paused', label: '暂停计时', by: me, text: '等待用户确认维护时间' },
    { id: 'e6', at: at(-18), kind: 'resumed', label: '恢复计时', by: me },
    { id: 'e7', at: at(-12), kind: 'reached', label: '到场', by: me, voided: true },
  ],
})

const wave = (from, to, step, fn) => {
  const points = []
  for (let ms = from; ms <= to; ms += step) points.push([ms, fn(ms)])
  return points
}

export function answer(method, [what, id, sub], query, body, rows) {
  switch (what) {
    case 'menu':
      return []
    case 'alarms':
      if (id === 'ack') {
        for (const one of alarms) if (body.ids?.includes(one.id)) Object.assign(one, { state: 'acked', owner: { id: '1', name: '周敏' } })
        return {}
      }
      if (id) return { ...alarms.find((one) => one.id === id), log: [{ at: at(-22), event: 'opened', text: '连续 2 个探测节点失败' }, { at: at(-21), event: 'notified', text: '周敏 · 短信' }, { at: at(-20), event: 'counted' }] }
      {
        const states = query.get('state')?.split(',')
        const items = alarms.filter((one) => (!states || states.includes(one.state)) && (query.get('parent') ? one.parent_id === query.get('parent') : !one.parent_id || states?.includes('suppressed')))
        return query.get('count') ? { count: items.length, exact: true } : { items, next: null }
      }
    case 'tasks': {
      if (sub) return {}
      if (id) return { ...tasks.find((one) => one.id === id), form: ['description', 'level'], required: ['description'], actions: [{ action: 'done', label: '处理完成', back_to: null }, { action: 'back', label: '退回派单', back_to: 'dispatch' }], handover: true, record: rows.get('ops.ticket')[0] }
      return query.get('count') ? { count: tasks.length } : { items: query.get('state') === 'done' ? [] : tasks, next: null }
    }
    case 'cases': {
      const row = rows.get('ops.ticket').find((one) => one.id === id)
      if (!row) return undefined
      if (method === 'POST') return {}
      if (sub === 'clocks')
        return { now: at(0), opened_at: at(-46), rules: ['响应：服务自有时限，一级，全天，10 分钟', '恢复：通用表 *business，一级，全天，60 分钟'],
          clocks: clocks.map((c) => ({ ...c, pieces: [{ kind: 'run', from: at(-46), to: at(-30), counted_ms: 16 * MIN, why: '开立，全天计时' }, { kind: 'pause', from: at(-30), to: at(-18), counted_ms: 0, why: '等待用户确认维护时间' }, { kind: 'run', from: at(-18), to: at(0), counted_ms: 18 * MIN, why: '恢复计时', spans: c.clock === 'solve' ? [{ from: at(-18), to: at(-9) }] : [] }, { kind: 'ahead', from: at(0), to: c.due_at ?? at(20), counted_ms: 14 * MIN, why: '按现在的情况' }] })) }
      return caseOf(row)
    }
    case 'checks':
      if (sub === 'state')
        return {
          state: 'down', since: at(-22),
          nodes: ['许昌电信', '许昌联通', '市政务外网'].map((name, i) => ({ id: 'p' + i, name, state: i < 2 ? 'down' : 'up', last_at: at(-0.3), error: i < 2 ? '连接超时（10 秒）' : '', phases: { dns: 4 + i, connect: 12 + i, tls: 31, first_byte: 88 + i * 20, total: 160 + i * 22 }, strip: Array.from({ length: 60 }, (_, k) => ({ at: at(-60 + k), state: i < 2 && k > 37 ? 'bad' : k === 12 ? 'none' : 'good' })) })),
          certificate: { subject: 'CN=www.example.gov.cn', issuer: 'CFCA OV OCA', not_after: at(6 * 1440), days: 6 },
          series: [{ id: 's1', name: 'total', unit: 'ms', node: '许昌电信' }, { id: 's2', name: 'total', unit: 'ms', node: '许昌联通' }, { id: 's3', name: 'total', unit: 'ms', node: '市政务外网' }],
          triggers: [{ id: 'x', name: '响应慢', threshold: 300, unit: 'ms' }],
        }
      return undefined
    case 'series': {
      const from = Number(Date.parse(query.get('from'))) || NOW - 3 * 3600_000
      const to = Number(Date.parse(query.get('to'))) || NOW
      const k = id.charCodeAt(1)
      return { unit: 'ms', points: wave(from, to, (to - from) / 180, (ms) => (id !== 's3' && ms > NOW - 22 * MIN ? null : Math.round(150 + 40 * Math.sin(ms / 900_000 + k) + ((ms / 7919) % 37)))) }
    }
    case 'subjects':
      if (sub === 'graph')
        return {
          nodes: [{ id: '9000', name: '许昌市政府门户网站', type: 'ops.system', state: 'down', distance: 0 }, { id: '9002', name: '门户数据库服务器', type: 'ops.system', state: 'up', distance: 1 }, { id: '9003', name: '核心交换机 A', type: 'ops.system', state: 'up', distance: 2 }, { id: '9001', name: '政务服务网', type: 'ops.system', state: 'up', distance: 1 }, { id: rows.get('ops.service')?.[0]?.id ?? '1', name: '门户网站群平台', type: 'ops.service', state: 'up', distance: 1 }],
          edges: [{ from: '9000', to: '9002', kind: 'depends_on', title: '依赖' }, { from: '9002', to: '9003', kind: 'connects_by', title: '经由' }, { from: '9001', to: '9000', kind: 'exchanges', title: '数据交换' }, { from: '9000', to: rows.get('ops.service')?.[0]?.id ?? '1', kind: 'served_by', title: '由其服务' }],
        }
      return undefined
    case 'probes':
      return { items: ['许昌电信', '许昌联通', '市政务外网'].map((name, i) => ({ id: 'p' + i, name, state: i === 2 ? 'offline' : 'online', version: '0.1.0', address: `10.9.${i}.2`, last_seen_at: at(i === 2 ? -44 : -0.1), skew_ms: i === 1 ? 5600 : 12, checks: 48, backlog: i === 2 ? 0 : 3, registered_at: at(-40000) })) }
    case 'orgs':
    case 'users':
    case 'roles': {
      const all = engine[`core.${what.slice(0, -1)}`]
      return id ? all.find((one) => one.id === id) : { items: all, next: null }
    }
    case 'notices':
      return query.get('count') ? { count: 2 } : { items: [{ id: 'n1', at: at(-22), title: '一级告警：网站不可访问', text: '许昌市政府门户网站', link: '/alarms/a1', read: false }, { id: 'n2', at: at(-45), title: '新工单 GZ-20261121-0042', text: '门户网站无法访问', link: '/r/ops/ticket/7000', read: false }], next: null }
    case 'jobs':
      return { items: [{ id: 'j1', kind: 'backup', title: '每日备份', state: 'running', done: 48210, total: 132000, rate: 2200, started_at: at(-0.4), cancellable: true }, { id: 'j2', kind: 'import', title: '导入资产', state: 'done', done: 474, total: 474, started_at: at(-400), ended_at: at(-399) }, { id: 'j3', kind: 'mail', title: '发送月报', state: 'failed', error: '邮件服务器拒绝连接', started_at: at(-1400), ended_at: at(-1399), done: 0, total: 3 }], next: null }
    case 'deadletters':
      return { items: [{ id: 'd1', topic: 'notify.mail', at: at(-1399), attempts: 8, error: '邮件服务器拒绝连接 (smtp.example.gov.cn:465)', subject_id: 'a3' }], next: null }
    case 'audit':
      return { items: Array.from({ length: 30 }, (_, i) => ({ id: String(900 - i), at: at(-i * 17), who: i % 3 ? '周敏' : '李建国', action: ['record.update', 'session.login', 'alarm.ack', 'record.create'][i % 4], object: ['ops.system', '', 'core.alarm', 'ops.ticket'][i % 4], object_id: '9000', address: '10.9.1.20', detail: { before: { name: '旧名' }, after: { name: '新名' } } })), next: null }
    case 'settings':
      return { items: [{ key: 'session.idle_minutes', value: 60, default: 60, type: 'integer', title: '会话空闲时限（分钟）', group: '登录' }, { key: 'session.totp_required', value: false, default: false, type: 'boolean', title: '要求动态验证码', group: '登录' }, { key: 'backup.keep_days', value: 14, default: 14, type: 'integer', title: '备份保留天数', group: '备份' }] }
    case 'rota':
      return { items: [{ rota: { id: 'r1', name: '一线值班' }, user: { id: '1', name: '周敏', phone: '138****2210' }, from: at(-300), to: at(420), next: { id: '2', name: '李建国' } }, { rota: { id: 'r2', name: '网络二线' }, user: { id: '2', name: '李建国', phone: '139****8801' }, from: at(-2000), to: at(3000), next: { id: '3', name: '王芳' } }] }
    case 'reports':
      return {
        service: { id: sub, name: rows.get('ops.service')?.find((r) => r.id === sub)?.name ?? '' }, month: query.get('month') ?? '2026-10',
        availability: { percent: 99.93, down_minutes: 31, days: Array.from({ length: 31 }, (_, i) => ({ day: `2026-10-${String(i + 1).padStart(2, '0')}`, percent: i === 11 ? 98.2 : 100 })) },
        alarms: { total: 23, by_grade: { 1: 1, 2: 4, 3: 10, 4: 8 } }, tickets: { total: 9, closed: 8, open: 1 },
        sla: [{ kind: 'respond', title: '响应', total: 9, met: 9 }, { kind: 'restore', title: '恢复', total: 9, met: 8 }, { kind: 'solve', title: '解决', total: 9, met: 9 }],
        inspections: [{ title: '服务器与数据库月度巡检', due: 1, done: 1 }, { title: '每日备份核查', due: 31, done: 30 }],
      }
    case 'services':
      return {
        months: Array.from({ length: 12 }, (_, i) => ({ month: new Date(Date.UTC(2025, 11 + i, 1)).toISOString().slice(0, 7), percent: i === 3 ? 99.1 : i === 9 ? 97.4 : 100, total: 8 + i, met: 8 })),
        duties: { due: 4, done: 37, overdue: 2, items: [{ id: '1', title: '服务器与数据库月度巡检', due_at: at(-2880), state: 'overdue' }, { id: '2', title: '运维月报', due_at: at(5760), state: 'due' }] },
        systems: rows.get('ops.system').slice(0, 3).map((r, i) => ({ id: r.id, type: 'ops.system', name: r.name, state: i ? 'up' : 'down' })),
      }
    default:
      return undefined
  }
}
