/* model.c - XML to graph in four steps: nodes, edges, attributes and picture, checks.
 *
 * A first pass over the children of the process makes nodes and edges and refuses the rest by name; then
 * references are resolved; then the graph is walked.  Everything found wrong is collected. */
#include "handle/flow/model.h"
#include "base/xml.h"
#include "handle/sla/replay.h"

#include <stdlib.h>

#define BPMN "http://www.omg.org/spec/BPMN/20100524/MODEL"
#define BPMNDI "http://www.omg.org/spec/BPMN/20100524/DI"
#define DC "http://www.omg.org/spec/DD/20100524/DC"
#define DI "http://www.omg.org/spec/DD/20100524/DI"
#define XML_DEPTH_MAX 64
#define XML_NODES_MAX 40000
#define POINTS_MAX 200

struct reader {
    struct arena *arena;
    struct findings *findings;
    struct flow_model *model;
    const struct xml_node **node_xml; /* by node */
    const struct xml_node **edge_xml; /* by edge */
    bool unsupported, invalid;
};

/* The kinds of nodes: their element, the event definition inside it, and the children it may have. */
/* clang-format off */
static const struct kind {
    const char *element, *event, *name;
} KINDS[FLOW_KIND__COUNT] = {
    [FLOW_START]          = { "startEvent",       NULL,                   "start" },
    [FLOW_END]            = { "endEvent",         NULL,                   "end" },
    [FLOW_USER_TASK]      = { "userTask",         NULL,                   "user_task" },
    [FLOW_EXCLUSIVE]      = { "exclusiveGateway", NULL,                   "exclusive" },
    [FLOW_BOUNDARY_TIMER] = { "boundaryEvent",    "timerEventDefinition", "boundary_timer" },
};
/* Elements that say something to people and nothing to the engine. */
static const char *const COMMENTS[] = { "documentation", "textAnnotation", "association", "group", "category" };
/* clang-format on */

static const struct flow_action DONE = { { "done", 4 }, -1 };

static enum err_code process_find(struct reader *reader, const struct xml_node *root,
                                  const struct xml_node **out_process, struct err *err);
static enum err_code nodes_read(struct reader *reader, const struct xml_node *process, struct err *err);
static enum err_code node_attributes(struct reader *reader, int index, struct err *err);
static enum err_code timer_read(struct reader *reader, struct flow_node *node, const struct xml_node *xml);
static enum err_code reached_read(struct reader *reader, struct flow_node *node, const struct xml_node *xml,
                                  struct err *err);
static enum err_code actions_read(struct reader *reader, struct flow_node *node, const struct xml_node *xml,
                                  struct err *err);
static enum err_code edges_link(struct reader *reader, struct err *err);
static void edge_condition(struct reader *reader, struct flow_edge *edge, const struct xml_node *xml);
static enum err_code variables_read(struct reader *reader, const struct xml_node *process, struct err *err);
static enum err_code picture_read(struct reader *reader, const struct xml_node *root, struct err *err);
static void graph_check(struct reader *reader);
static enum err_code reach_check(struct reader *reader, struct err *err);
static bool children_check(struct reader *reader, const struct xml_node *xml, const char *const *allowed);
static bool is_comment(const struct xml_node *xml);
static enum err_code list_read(struct reader *reader, struct str text, struct flow_list *out,
                               struct err *err);
static void found(struct reader *reader, const struct xml_node *xml, enum err_code code, const char *id,
                  struct str what, struct str element);
static int edge_by(const struct reader *reader, struct str id);
static double number_of(struct str text);

const char *flow_kind_name(enum flow_kind kind)
{
    return KINDS[kind].name;
}

enum err_code flow_model_read(struct arena *arena, struct str xml, struct findings *findings,
                              const struct flow_model **out_model, struct err *err)
{
    const struct xml_limits limits = { FLOW_XML_MAX, XML_DEPTH_MAX, XML_NODES_MAX };
    struct reader reader = { .arena = arena, .findings = findings };
    const struct xml_node *root, *process;
    enum err_code rc = xml_read(arena, xml, &limits, &root, err);
    if (rc == ERR_INVALID)
        findings_add(findings, err);
    if (rc)
        return err_in(err, "flow.read");
    reader.model = arena_alloc(arena, 1, sizeof(*reader.model));
    if (!reader.model)
        return err_nomem(err);
    reader.model->start = -1;
    rc = process_find(&reader, root, &process, err);
    if (!rc && process)
        rc = nodes_read(&reader, process, err);
    if (!rc && process)
        rc = edges_link(&reader, err);
    for (int i = 0; !rc && process && i < reader.model->nodes_count; i++)
        rc = node_attributes(&reader, i, err);
    if (!rc && process)
        rc = variables_read(&reader, process, err);
    if (!rc && process)
        rc = picture_read(&reader, root, err);
    if (rc)
        return err_in(err, "flow.read");
    if (process && !reader.invalid && !reader.unsupported) {
        graph_check(&reader);
        if (!reader.invalid)
            rc = reach_check(&reader, err);
        if (rc)
            return rc;
    }
    if (reader.invalid || reader.unsupported) {
        if (err && findings->count)
            *err = findings->items[0];
        return reader.invalid ? ERR_INVALID : ERR_UNSUPPORTED;
    }
    *out_model = reader.model;
    return ERR_OK;
}

int flow_node_find(const struct flow_model *model, struct str id)
{
    for (int i = 0; i < model->nodes_count; i++)
        if (str_eq(model->nodes[i].id, id))
            return i;
    return -1;
}

int flow_boundary_next(const struct flow_model *model, int host, int from)
{
    for (int i = from; i < model->nodes_count; i++)
        if (model->nodes[i].kind == FLOW_BOUNDARY_TIMER && model->nodes[i].host == host)
            return i;
    return -1;
}

const struct flow_action *flow_action_find(const struct flow_node *node, struct str code)
{
    for (int i = 0; i < node->actions_count; i++)
        if (str_eq(node->actions[i].code, code))
            return &node->actions[i];
    return node->actions_count == 0 && str_eq(code, DONE.code) ? &DONE : NULL;
}

bool flow_duration_parse(struct str text, int64_t *out_ms)
{
    int64_t sum = 0;
    bool time = false, any = false;
    size_t i = 1;
    if (text.len < 3 || text.ptr[0] != 'P')
        return false;
    while (i < text.len) {
        int64_t number = 0, unit = 0;
        const size_t from = i;
        if (text.ptr[i] == 'T' && !time) {
            time = true;
            i++;
            continue;
        }
        for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9' && number < 100000000; i++)
            number = number * 10 + (text.ptr[i] - '0');
        if (i == from || i == text.len)
            return false;
        switch (text.ptr[i++]) {
        case 'W':
            unit = time ? 0 : 7 * DAY_MS;
            break;
        case 'D':
            unit = time ? 0 : DAY_MS;
            break;
        case 'H':
            unit = time ? 3600000 : 0;
            break;
        case 'M':
            unit = time ? 60000 : 0;
            break;
        case 'S':
            unit = time ? 1000 : 0;
            break;
        default:
            break;
        }
        if (!unit)
            return false;
        sum += number * unit;
        any = true;
    }
    if (!any)
        return false;
    *out_ms = sum;
    return true;
}

bool flow_list_has(const struct flow_list *list, struct str text)
{
    for (int i = 0; i < list->count; i++)
        if (str_eq(list->items[i], text))
            return true;
    return false;
}

/* The one process; what stands beside it may be a picture or a comment, nothing else. */
static enum err_code process_find(struct reader *reader, const struct xml_node *root,
                                  const struct xml_node **out_process, struct err *err)
{
    *out_process = NULL;
    (void)err;
    if (!xml_is(root, STR(BPMN), "definitions")) {
        found(reader, root, ERR_INVALID, "flow.not_bpmn", root->name, (struct str) { 0 });
        return ERR_OK;
    }
    for (const struct xml_node *child = root->first; child; child = child->next) {
        if (xml_is(child, STR(BPMN), "process")) {
            if (*out_process)
                found(reader, child, ERR_UNSUPPORTED, "flow.second_process", xml_attr(child, "id"),
                      child->name);
            else
                *out_process = child;
        } else if (!str_eq(child->ns, STR(BPMNDI)) && !is_comment(child)) {
            found(reader, child, ERR_UNSUPPORTED, "flow.unsupported", child->name, xml_attr(child, "id"));
        }
    }
    if (!*out_process) {
        found(reader, root, ERR_INVALID, "flow.no_process", root->name, (struct str) { 0 });
        return ERR_OK;
    }
    reader->model->id = xml_attr(*out_process, "id");
    reader->model->name = xml_attr(*out_process, "name");
    if (!str_eq(xml_attr(*out_process, "isExecutable"), STR("true")))
        found(reader, *out_process, ERR_INVALID, "flow.not_executable", reader->model->id,
              (struct str) { 0 });
    return ERR_OK;
}

static enum err_code nodes_read(struct reader *reader, const struct xml_node *process, struct err *err)
{
    struct flow_model *model = reader->model;
    int nodes = 0, edges = 0;
    for (const struct xml_node *child = process->first; child; child = child->next) {
        if (xml_is(child, STR(BPMN), "sequenceFlow"))
            edges++;
        else
            nodes++;
    }
    if (nodes > FLOW_NODES_MAX || edges > FLOW_EDGES_MAX)
        return err_set(err, ERR_LIMIT, "flow.too_large", ARG_INT("max", FLOW_NODES_MAX), ARG_END);
    model->nodes = arena_alloc(reader->arena, (size_t)nodes + 1, sizeof(*model->nodes));
    model->edges = arena_alloc(reader->arena, (size_t)edges + 1, sizeof(*model->edges));
    reader->node_xml = arena_alloc(reader->arena, (size_t)nodes + 1, sizeof(const struct xml_node *));
    reader->edge_xml = arena_alloc(reader->arena, (size_t)edges + 1, sizeof(const struct xml_node *));
    if (!model->nodes || !model->edges || !reader->node_xml || !reader->edge_xml)
        return err_nomem(err);

    for (const struct xml_node *child = process->first; child; child = child->next) {
        const struct str id = xml_attr(child, "id");
        int kind = 0;
        if (is_comment(child))
            continue;
        while (kind < FLOW_KIND__COUNT && !xml_is(child, STR(BPMN), KINDS[kind].element))
            kind++;
        if (kind == FLOW_KIND__COUNT && !xml_is(child, STR(BPMN), "sequenceFlow")) {
            found(reader, child, ERR_UNSUPPORTED, "flow.unsupported", child->name, id);
            continue;
        }
        if (!id.len || id.len > 200 || flow_node_find(model, id) >= 0 || edge_by(reader, id) >= 0) {
            found(reader, child, ERR_INVALID, "flow.id", child->name, id);
            continue;
        }
        if (kind == FLOW_KIND__COUNT) {
            struct flow_edge *edge = &model->edges[model->edges_count];
            reader->edge_xml[model->edges_count++] = child;
            *edge = (struct flow_edge) {
                .id = id, .name = xml_attr(child, "name"), .from = -1, .to = -1, .line = child->line
            };
        } else {
            struct flow_node *node = &model->nodes[model->nodes_count];
            reader->node_xml[model->nodes_count++] = child;
            *node = (struct flow_node) { .kind = (enum flow_kind)kind,
                                         .id = id,
                                         .name = xml_attr(child, "name"),
                                         .line = child->line,
                                         .otherwise = -1,
                                         .host = -1,
                                         .handover = true,
                                         .interrupting = true };
            if (kind == FLOW_START && model->start >= 0)
                found(reader, child, ERR_UNSUPPORTED, "flow.second_start", id, child->name);
            else if (kind == FLOW_START)
                model->start = model->nodes_count - 1;
        }
    }
    if (model->start < 0 && !reader->unsupported)
        found(reader, process, ERR_INVALID, "flow.no_start", reader->model->id, process->name);
    return ERR_OK;
}

/* Sources and targets; then the lists of edges of each node. */
static enum err_code edges_link(struct reader *reader, struct err *err)
{
    struct flow_model *model = reader->model;
    for (int e = 0; e < model->edges_count; e++) {
        struct flow_edge *edge = &model->edges[e];
        const struct xml_node *xml = reader->edge_xml[e];
        edge->from = flow_node_find(model, xml_attr(xml, "sourceRef"));
        edge->to = flow_node_find(model, xml_attr(xml, "targetRef"));
        if (edge->from < 0 || edge->to < 0) {
            if (!reader->unsupported) /* else it may lead to what was refused already */
                found(reader, xml, ERR_INVALID, "flow.reference",
                      xml_attr(xml, edge->from < 0 ? "sourceRef" : "targetRef"), edge->id);
            continue;
        }
        model->nodes[edge->from].out_count++;
        model->nodes[edge->to].in_count++;
        edge_condition(reader, edge, xml);
    }
    for (int n = 0; n < model->nodes_count; n++) {
        struct flow_node *node = &model->nodes[n];
        int *lists =
            arena_alloc(reader->arena, (size_t)(node->in_count + node->out_count) + 1, sizeof(*lists));
        int in = 0, out = node->in_count;
        if (!lists)
            return err_nomem(err);
        for (int e = 0; e < model->edges_count; e++) {
            if (model->edges[e].from < 0 || model->edges[e].to < 0)
                continue;
            if (model->edges[e].to == n)
                lists[in++] = e;
            if (model->edges[e].from == n)
                lists[out++] = e;
        }
        node->in = lists;
        node->out = lists + node->in_count;
    }
    return ERR_OK;
}

static void edge_condition(struct reader *reader, struct flow_edge *edge, const struct xml_node *xml)
{
    static const char *const allowed[] = { "conditionExpression", NULL };
    const struct xml_node *condition = xml_child(xml, "conditionExpression");
    if (!children_check(reader, xml, allowed) || !condition)
        return;
    edge->condition = str_trim(condition->text);
    if (str_starts(edge->condition, STR("=")))
        edge->condition = str_slice(edge->condition, 1, edge->condition.len);
    if (!edge->condition.len || edge->condition.len > FLOW_TEXT_MAX)
        found(reader, condition, ERR_INVALID, "flow.condition", edge->id, xml->name);
    const struct str language = xml_attr(condition, "language");
    if (language.len && str_find(language, STR("FEEL")) < 0 && str_find(language, STR("feel")) < 0)
        found(reader, condition, ERR_UNSUPPORTED, "flow.language", language, edge->id);
}

static enum err_code node_attributes(struct reader *reader, int index, struct err *err)
{
    static const char *const links[] = { "incoming", "outgoing", NULL };
    static const char *const timer_links[] = { "outgoing", "timerEventDefinition", NULL };
    static const char *const markers[] = { "isForCompensation", "startQuantity", "completionQuantity" };
    struct flow_node *node = &reader->model->nodes[index];
    const struct xml_node *xml = reader->node_xml[index];
    const struct xml_node *doc = xml_child(xml, "documentation");
    struct str text;
    int64_t limit;
    enum err_code rc;

    (void)children_check(reader, xml, KINDS[node->kind].event ? timer_links : links);
    node->doc = doc ? str_trim(doc->text) : (struct str) { 0 };
    for (size_t i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
        text = xml_attr(xml, markers[i]);
        if (text.len && !str_eq(text, STR("false")) && !str_eq(text, STR("1")))
            found(reader, xml, ERR_UNSUPPORTED, "flow.unsupported", str_from(markers[i]), node->id);
    }
    if (node->kind == FLOW_EXCLUSIVE && (text = xml_attr(xml, "default")).len) {
        const int edge = edge_by(reader, text);
        if (edge < 0 || reader->model->edges[edge].from != index)
            found(reader, xml, ERR_INVALID, "flow.reference", text, node->id);
        node->otherwise = edge;
    }
    if (node->kind == FLOW_BOUNDARY_TIMER) {
        text = xml_attr(xml, "attachedToRef");
        node->host = flow_node_find(reader->model, text);
        if (node->host < 0 || reader->model->nodes[node->host].kind != FLOW_USER_TASK)
            found(reader, xml, reader->unsupported ? ERR_UNSUPPORTED : ERR_INVALID, "flow.reference", text,
                  node->id);
        node->interrupting = !str_eq(xml_attr(xml, "cancelActivity"), STR("false"));
        rc = timer_read(reader, node, xml);
        if (rc)
            return rc;
    }
    node->state = xml_attr_ns(xml, FLOW_NS, "state");
    node->limit = xml_attr_ns(xml, FLOW_NS, "limit");
    node->handover = !str_eq(xml_attr_ns(xml, FLOW_NS, "handover"), STR("no"));
    rc = list_read(reader, xml_attr_ns(xml, FLOW_NS, "form"), &node->form, err);
    if (!rc)
        rc = list_read(reader, xml_attr_ns(xml, FLOW_NS, "required"), &node->required, err);
    if (!rc)
        rc = list_read(reader, xml_attr_ns(xml, FLOW_NS, "candidates"), &node->candidates, err);
    if (!rc)
        rc = actions_read(reader, node, xml, err);
    if (rc)
        return rc;
    rc = reached_read(reader, node, xml, err);
    if (rc)
        return rc;
    if (str_starts(node->limit, STR("clock:"))) {
        enum sla_clock clock;
        if (!sla_clock_from(str_slice(node->limit, 6, node->limit.len), &clock))
            found(reader, xml, ERR_INVALID, "flow.clock", node->limit, node->id);
    } else if (node->limit.len && !flow_duration_parse(node->limit, &limit)) {
        found(reader, xml, ERR_INVALID, "flow.limit", node->limit, node->id);
    }
    for (const struct xml_attr *attr = xml->attrs; attr; attr = attr->next) {
        static const char *const known[] = { "form",    "required", "candidates", "actions",
                                             "reached", "limit",    "state",      "handover" };
        bool good = !str_eq(attr->ns, STR(FLOW_NS));
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            good |= str_eq(attr->name, str_from(known[i]));
        if (!good)
            found(reader, xml, ERR_UNSUPPORTED, "flow.attribute", attr->name, node->id);
    }
    return ERR_OK;
}

static enum err_code timer_read(struct reader *reader, struct flow_node *node, const struct xml_node *xml)
{
    const struct xml_node *definition = xml_child(xml, "timerEventDefinition"), *value;
    if (!definition) { /* another kind of event: its definition was refused by name, or there is none */
        if (!reader->unsupported)
            found(reader, xml, ERR_INVALID, "flow.timer", node->id, xml->name);
        return ERR_OK;
    }
    value = definition->first;
    node->timer_calendar = xml_attr_ns(definition, FLOW_NS, "calendar");
    if (!value || value->next) {
        found(reader, definition, ERR_INVALID, "flow.timer", node->id, xml->name);
    } else if (xml_is(value, STR(BPMN), "timeDuration")) {
        node->timer = str_trim(value->text);
    } else if (xml_is(value, STR(BPMN), "timeDate")) {
        node->timer_date = str_trim(value->text);
    } else {
        found(reader, value, ERR_UNSUPPORTED, "flow.unsupported", value->name, node->id);
        return ERR_OK;
    }
    if (value && !node->timer.len && !node->timer_date.len)
        found(reader, definition, ERR_INVALID, "flow.timer", node->id, xml->name);
    if (node->timer.len + node->timer_date.len > FLOW_TEXT_MAX)
        found(reader, definition, ERR_INVALID, "flow.timer", node->id, xml->name);
    return ERR_OK;
}

/* "respond report:cause_report" */
static enum err_code reached_read(struct reader *reader, struct flow_node *node, const struct xml_node *xml,
                                  struct err *err)
{
    struct flow_list words;
    struct flow_reach *list;
    enum err_code rc = list_read(reader, xml_attr_ns(xml, FLOW_NS, "reached"), &words, err);
    if (rc || !words.count)
        return rc;
    list = arena_alloc(reader->arena, (size_t)words.count, sizeof(*list));
    if (!list)
        return err_nomem(err);
    for (int i = 0; i < words.count; i++) {
        struct str rest = words.items[i], name;
        enum sla_clock clock;
        (void)str_cut(&rest, ':', &name);
        if (!sla_clock_from(name, &clock) || (rest.ptr && !rest.len))
            found(reader, xml, ERR_INVALID, "flow.clock", words.items[i], node->id);
        else if (!rest.ptr)
            node->reached |= 1u << clock;
        else
            list[node->reached_if_count++] = (struct flow_reach) { 1u << clock, rest };
    }
    node->reached_if = list;
    return ERR_OK;
}

/* "done return:accept" */
static enum err_code actions_read(struct reader *reader, struct flow_node *node, const struct xml_node *xml,
                                  struct err *err)
{
    struct flow_list words;
    struct flow_action *actions;
    enum err_code rc = list_read(reader, xml_attr_ns(xml, FLOW_NS, "actions"), &words, err);
    if (rc || !words.count)
        return rc;
    actions = arena_alloc(reader->arena, (size_t)words.count, sizeof(*actions));
    if (!actions)
        return err_nomem(err);
    for (int i = 0; i < words.count; i++) {
        struct str rest = words.items[i], code;
        (void)str_cut(&rest, ':', &code);
        actions[i] = (struct flow_action) { code, -1 };
        if (rest.ptr) {
            actions[i].back_to = flow_node_find(reader->model, rest);
            if (actions[i].back_to < 0 || reader->model->nodes[actions[i].back_to].kind != FLOW_USER_TASK)
                found(reader, xml, ERR_INVALID, "flow.reference", rest, node->id);
        }
    }
    node->actions = actions;
    node->actions_count = words.count;
    return ERR_OK;
}

/* "urgency:number reason:string" */
static enum err_code variables_read(struct reader *reader, const struct xml_node *process, struct err *err)
{
    struct flow_list words;
    struct flow_variable *variables;
    enum err_code rc = list_read(reader, xml_attr_ns(process, FLOW_NS, "variables"), &words, err);
    if (rc || !words.count)
        return rc;
    variables = arena_alloc(reader->arena, (size_t)words.count, sizeof(*variables));
    if (!variables)
        return err_nomem(err);
    for (int i = 0; i < words.count; i++) {
        struct str rest = words.items[i];
        (void)str_cut(&rest, ':', &variables[i].name);
        variables[i].type = rest;
        if (!variables[i].name.len || !rest.len)
            found(reader, process, ERR_INVALID, "flow.variable", words.items[i], reader->model->id);
    }
    reader->model->variables = variables;
    reader->model->variables_count = words.count;
    return ERR_OK;
}

/* Bounds and waypoints; shapes of what is no node (an annotation) are left out. */
static enum err_code picture_read(struct reader *reader, const struct xml_node *root, struct err *err)
{
    const struct xml_node *diagram = root->first;
    const struct xml_node *plane;
    while (diagram && !xml_is(diagram, STR(BPMNDI), "BPMNDiagram"))
        diagram = diagram->next;
    plane = diagram ? xml_child(diagram, "BPMNPlane") : NULL;
    for (const struct xml_node *item = plane ? plane->first : NULL; item; item = item->next) {
        const struct str of = xml_attr(item, "bpmnElement");
        const int node = flow_node_find(reader->model, of), edge = edge_by(reader, of);
        int points = 0;
        for (const struct xml_node *part = item->first; part; part = part->next) {
            points += xml_is(part, STR(DI), "waypoint");
            if (node >= 0 && xml_is(part, STR(DC), "Bounds")) {
                struct flow_node *drawn = &reader->model->nodes[node];
                drawn->drawn = true;
                drawn->x = number_of(xml_attr(part, "x"));
                drawn->y = number_of(xml_attr(part, "y"));
                drawn->width = number_of(xml_attr(part, "width"));
                drawn->height = number_of(xml_attr(part, "height"));
            }
        }
        if (edge >= 0 && points >= 2 && points <= POINTS_MAX) {
            struct flow_point *list = arena_alloc(reader->arena, (size_t)points, sizeof(*list));
            int count = 0;
            if (!list)
                return err_nomem(err);
            for (const struct xml_node *part = item->first; part; part = part->next)
                if (xml_is(part, STR(DI), "waypoint"))
                    list[count++] = (struct flow_point) { number_of(xml_attr(part, "x")),
                                                          number_of(xml_attr(part, "y")) };
            reader->model->edges[edge].points = list;
            reader->model->edges[edge].points_count = count;
        }
    }
    return ERR_OK;
}

/* What each kind may have around it. */
static void graph_check(struct reader *reader)
{
    struct flow_model *model = reader->model;
    for (int n = 0; n < model->nodes_count; n++) {
        const struct flow_node *node = &model->nodes[n];
        const struct xml_node *xml = reader->node_xml[n];
        if ((node->kind == FLOW_START || node->kind == FLOW_BOUNDARY_TIMER) && node->in_count)
            found(reader, xml, ERR_INVALID, "flow.no_way_in", node->id, xml->name);
        if (node->kind != FLOW_END && !node->out_count)
            found(reader, xml, ERR_INVALID, "flow.no_way_out", node->id, xml->name);
        if (node->kind == FLOW_END && node->out_count)
            found(reader, xml, ERR_INVALID, "flow.way_after_end", node->id, xml->name);
        if (node->kind != FLOW_EXCLUSIVE && node->out_count > 1) /* would be a parallel split */
            found(reader, xml, ERR_UNSUPPORTED, "flow.implicit_split", node->id, xml->name);
        for (int i = 0; i < node->out_count; i++) {
            const struct flow_edge *edge = &model->edges[node->out[i]];
            const bool needed =
                node->kind == FLOW_EXCLUSIVE && node->out_count > 1 && node->out[i] != node->otherwise;
            if (needed && !edge->condition.len)
                found(reader, reader->edge_xml[node->out[i]], ERR_INVALID, "flow.needs_condition", edge->id,
                      node->id);
            if (edge->condition.len && (node->kind != FLOW_EXCLUSIVE || node->out[i] == node->otherwise))
                found(reader, reader->edge_xml[node->out[i]], ERR_UNSUPPORTED, "flow.condition_here",
                      edge->id, node->id);
        }
    }
}

/* Every node can be reached from the start, and an end from every node; a task's boundary events and its
 * ways back count. */
static enum err_code reach_check(struct reader *reader, struct err *err)
{
    const struct flow_model *model = reader->model;
    bool *from_start = arena_alloc(reader->arena, (size_t)model->nodes_count, sizeof(bool));
    bool *to_end = arena_alloc(reader->arena, (size_t)model->nodes_count, sizeof(bool));
    bool changed = true;
    if (!from_start || !to_end)
        return err_nomem(err);
    for (int n = 0; n < model->nodes_count; n++)
        to_end[n] = model->nodes[n].kind == FLOW_END;
    from_start[model->start] = true;
    while (changed) {
        changed = false;
        for (int e = 0; e < model->edges_count; e++) {
            const struct flow_edge *edge = &model->edges[e];
            if (from_start[edge->from] && !from_start[edge->to])
                changed = from_start[edge->to] = true;
            if (to_end[edge->to] && !to_end[edge->from])
                changed = to_end[edge->from] = true;
        }
        for (int n = 0; n < model->nodes_count; n++)
            if (model->nodes[n].host >= 0 && from_start[model->nodes[n].host] && !from_start[n])
                changed = from_start[n] = true;
    }
    for (int n = 0; n < model->nodes_count; n++) {
        if (!from_start[n])
            found(reader, reader->node_xml[n], ERR_INVALID, "flow.unreachable", model->nodes[n].id,
                  reader->node_xml[n]->name);
        else if (!to_end[n])
            found(reader, reader->node_xml[n], ERR_INVALID, "flow.no_end", model->nodes[n].id,
                  reader->node_xml[n]->name);
    }
    return ERR_OK;
}

/* Refuses by name every child element that is neither allowed nor a comment. */
static bool children_check(struct reader *reader, const struct xml_node *xml, const char *const *allowed)
{
    bool good = true;
    for (const struct xml_node *child = xml->first; child; child = child->next) {
        bool known = is_comment(child);
        for (int i = 0; allowed[i]; i++)
            known |= xml_is(child, STR(BPMN), allowed[i]);
        if (!known) {
            found(reader, child, ERR_UNSUPPORTED, "flow.unsupported", child->name, xml_attr(xml, "id"));
            good = false;
        }
    }
    return good;
}

static bool is_comment(const struct xml_node *xml)
{
    for (size_t i = 0; i < sizeof(COMMENTS) / sizeof(COMMENTS[0]); i++)
        if (xml_is(xml, STR(BPMN), COMMENTS[i]))
            return true;
    return false;
}

/* Words separated by white space. */
static enum err_code list_read(struct reader *reader, struct str text, struct flow_list *out, struct err *err)
{
    struct str *items;
    int count = 0;
    *out = (struct flow_list) { 0 };
    if (!text.len)
        return ERR_OK;
    items = arena_alloc(reader->arena, FLOW_LIST_MAX, sizeof(*items));
    if (!items)
        return err_nomem(err);
    for (size_t i = 0; i < text.len;) {
        size_t end;
        while (i < text.len && strchr(" \t\r\n,", text.ptr[i]))
            i++;
        for (end = i; end < text.len && !strchr(" \t\r\n,", text.ptr[end]);)
            end++;
        if (end == i)
            break;
        if (count == FLOW_LIST_MAX)
            return err_set(err, ERR_LIMIT, "flow.too_large", ARG_INT("max", FLOW_LIST_MAX), ARG_END);
        items[count++] = str_slice(text, i, end);
        i = end;
    }
    *out = (struct flow_list) { items, count };
    return ERR_OK;
}

static void found(struct reader *reader, const struct xml_node *xml, enum err_code code, const char *id,
                  struct str what, struct str element)
{
    struct err one;
    (void)err_set(&one, code, id, ARG_STR("what", what), ARG_STR("element", element), ARG_END);
    (void)err_at(&one, xml->line, 0);
    findings_add(reader->findings, &one);
    if (code == ERR_UNSUPPORTED)
        reader->unsupported = true;
    else
        reader->invalid = true;
}

static int edge_by(const struct reader *reader, struct str id)
{
    for (int i = 0; i < reader->model->edges_count; i++)
        if (str_eq(reader->model->edges[i].id, id))
            return i;
    return -1;
}

/* A coordinate; what is none is 0.  Bounded, so that no picture is larger than a wall. */
static double number_of(struct str text)
{
    char copy[32];
    double value;
    if (!text.len || text.len >= sizeof(copy))
        return 0;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    value = strtod(copy, NULL);
    return value > -100000 && value < 100000 ? value : 0;
}
