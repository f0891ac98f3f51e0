/* report_paper.c - the monthly report as an official document on A4. */
#include "learn/paper.h"
#include "learn/report.h"

#include <math.h>

static struct str word(const struct report_view *view, const char *key)
{
    return words_get(view->words, view->lang, str_from(key));
}

static struct str number(const struct report_view *view, int64_t n)
{
    return arena_printf(view->arena, "%lld", (long long)n);
}

static struct str percent_or_dash(const struct report_view *view, int64_t part, int64_t whole)
{
    const struct str text = report_percent(view->arena, part, whole);
    return text.len ? arena_printf(view->arena, "%.*s %%", STR_ARG(text)) : STR("\xe2\x80\x94");
}

static struct str dash_if_empty(struct str text)
{
    return text.len ? text : STR("\xe2\x80\x94");
}

static void summary(struct paper *paper, const struct report *report, const struct report_view *view)
{
    const struct paper_figure figures[] = {
        { percent_or_dash(view, report->up, report->total), word(view, "report.availability") },
        { number(view, report->alarms_total), word(view, "report.alarms") },
        { number(view, report->tickets_total), word(view, "report.tickets") },
        { percent_or_dash(view, report->met, report->met + report->missed), word(view, "report.sla") },
        { arena_printf(view->arena, "%d / %d", report->done, report->done + report->due + report->overdue),
          word(view, "report.duties") },
    };
    paper_figures(paper, figures, 5);
}

static void availability(struct paper *paper, const struct report *report, const struct report_view *view)
{
    struct str labels[REPORT_DAYS_MAX], *cells;
    double values[REPORT_DAYS_MAX], least = 100;
    const struct paper_column columns[] = { { word(view, "report.check"), 4, PAPER_LEFT },
                                            { word(view, "report.availability"), 1.5, PAPER_RIGHT },
                                            { word(view, "report.samples"), 1.5, PAPER_RIGHT },
                                            { word(view, "report.no_data"), 1.5, PAPER_RIGHT } };
    paper_heading(paper, 1, word(view, "report.part.availability"));
    paper_text(paper, report_rule(report, view));
    for (int i = 0; i < report->days_count; i++) {
        labels[i] = number(view, i + 1);
        values[i] =
            report->days[i].total ? 100.0 * (double)report->days[i].up / (double)report->days[i].total : NAN;
        if (report->days[i].total && values[i] < least)
            least = values[i];
    }
    if (report->total)
        paper_bars(paper, &(struct paper_chart) { word(view, "report.by_day"), STR("%"), labels, values,
                                                  report->days_count,
                                                  least > 95 ? 95 : floor(least / 10) * 10, 100, NAN, -1 });
    cells = arena_alloc(view->arena, (size_t)report->checks_count * 4 + 1, sizeof(*cells));
    for (int i = 0; cells && i < report->checks_count; i++) {
        cells[i * 4] = report->checks[i].name;
        cells[i * 4 + 1] = percent_or_dash(view, report->checks[i].up, report->checks[i].total);
        cells[i * 4 + 2] = number(view, report->checks[i].total);
        cells[i * 4 + 3] = number(view, report->checks[i].no_data);
    }
    paper_table(paper, columns, 4, cells, cells ? report->checks_count : 0, word(view, "report.none.checks"));
}

static void alarms(struct paper *paper, const struct report *report, const struct report_view *view)
{
    struct str labels[REPORT_DAYS_MAX], *cells;
    double values[REPORT_DAYS_MAX];
    const struct paper_column columns[] = { { word(view, "report.opened"), 1.6, PAPER_LEFT },
                                            { word(view, "report.grade"), 0.7, PAPER_CENTRE },
                                            { word(view, "report.alarm"), 4, PAPER_LEFT },
                                            { word(view, "report.count"), 0.8, PAPER_RIGHT },
                                            { word(view, "report.cleared"), 1.6, PAPER_LEFT } };
    paper_heading(paper, 1, word(view, "report.part.alarms"));
    for (int i = 0; i < report->days_count; i++) {
        labels[i] = number(view, i + 1);
        values[i] = report->days[i].alarms;
    }
    if (report->alarms_total)
        paper_bars(paper,
                   &(struct paper_chart) { word(view, "report.by_day"), word(view, "report.unit.alarms"),
                                           labels, values, report->days_count, 0, 0, NAN, 0 });
    cells = arena_alloc(view->arena, (size_t)report->alarms_count * 5 + 1, sizeof(*cells));
    for (int i = 0; cells && i < report->alarms_count; i++) {
        cells[i * 5] = report_instant(report, view->arena, report->alarms[i].opened_ms);
        cells[i * 5 + 1] = number(view, report->alarms[i].grade);
        cells[i * 5 + 2] = report->alarms[i].title;
        cells[i * 5 + 3] = number(view, report->alarms[i].count);
        cells[i * 5 + 4] = dash_if_empty(report_instant(report, view->arena, report->alarms[i].cleared_ms));
    }
    paper_table(paper, columns, 5, cells, cells ? report->alarms_count : 0, word(view, "report.none.alarms"));
}

static void clocks(struct paper *paper, const struct report *report, const struct report_view *view)
{
    struct str cells[SLA_CLOCK__COUNT * 5];
    int rows = 0;
    const struct paper_column columns[] = { { word(view, "report.clock"), 2, PAPER_LEFT },
                                            { word(view, "report.met"), 1, PAPER_RIGHT },
                                            { word(view, "report.missed"), 1, PAPER_RIGHT },
                                            { word(view, "report.running"), 1, PAPER_RIGHT },
                                            { word(view, "report.sla"), 1.2, PAPER_RIGHT } };
    paper_heading(paper, 1, word(view, "report.part.sla"));
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        char key[40];
        if (!(report->clocks[c].met + report->clocks[c].missed + report->clocks[c].running))
            continue;
        (void)snprintf(key, sizeof(key), "sla.clock.%s", sla_clock_name((enum sla_clock)c));
        cells[rows * 5] = word(view, key);
        cells[rows * 5 + 1] = number(view, report->clocks[c].met);
        cells[rows * 5 + 2] = number(view, report->clocks[c].missed);
        cells[rows * 5 + 3] = number(view, report->clocks[c].running);
        cells[rows * 5 + 4] =
            percent_or_dash(view, report->clocks[c].met, report->clocks[c].met + report->clocks[c].missed);
        rows++;
    }
    paper_table(paper, columns, 5, cells, rows, word(view, "report.none.sla"));
}

/* "respond met, restore late" */
static struct str ticket_clocks(const struct report_view *view, const struct ticket_line *ticket)
{
    struct str text = STR("");
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        char clock[40], state[40];
        if (!ticket->clocks[c].agreed)
            continue;
        (void)snprintf(clock, sizeof(clock), "sla.clock.%s", sla_clock_name((enum sla_clock)c));
        (void)snprintf(state, sizeof(state), "sla.state.%s", sla_state_name(ticket->clocks[c].state));
        const struct str a = word(view, clock), b = word(view, state);
        text = arena_printf(view->arena, "%.*s%s%.*s%s%.*s", STR_ARG(text),
                            text.len ? (view->lang == LANG_ZH ? "\xef\xbc\x9b" : "; ") : "", STR_ARG(a),
                            view->lang == LANG_ZH ? "" : " ", STR_ARG(b));
    }
    return dash_if_empty(text);
}

static void tickets(struct paper *paper, const struct report *report, const struct report_view *view)
{
    const struct paper_column columns[] = {
        { word(view, "report.number"), 1.9, PAPER_LEFT },  { word(view, "report.title"), 3, PAPER_LEFT },
        { word(view, "report.level"), 0.7, PAPER_CENTRE }, { word(view, "report.opened"), 1.5, PAPER_LEFT },
        { word(view, "report.closed"), 1.5, PAPER_LEFT },  { word(view, "report.clocks"), 2.4, PAPER_LEFT }
    };
    struct str *cells = arena_alloc(view->arena, (size_t)report->tickets_count * 6 + 1, sizeof(*cells));
    paper_heading(paper, 1, word(view, "report.part.tickets"));
    paper_text(paper,
               arena_printf(view->arena, "%.*s %lld   %.*s %lld   %.*s %lld",
                            STR_ARG(word(view, "report.tickets.opened")), (long long)report->tickets_total,
                            STR_ARG(word(view, "report.tickets.closed")), (long long)report->closed,
                            STR_ARG(word(view, "report.tickets.open")), (long long)report->open));
    for (int i = 0; cells && i < report->tickets_count; i++) {
        cells[i * 6] = report->tickets[i].number;
        cells[i * 6 + 1] = report->tickets[i].title;
        cells[i * 6 + 2] = dash_if_empty(report->tickets[i].level);
        cells[i * 6 + 3] = report_instant(report, view->arena, report->tickets[i].opened_ms);
        cells[i * 6 + 4] = dash_if_empty(report_instant(report, view->arena, report->tickets[i].closed_ms));
        cells[i * 6 + 5] = ticket_clocks(view, &report->tickets[i]);
    }
    paper_table(paper, columns, 6, cells, cells ? report->tickets_count : 0,
                word(view, "report.none.tickets"));
}

static void duties(struct paper *paper, const struct report *report, const struct report_view *view)
{
    const struct paper_column columns[] = { { word(view, "report.duty"), 4, PAPER_LEFT },
                                            { word(view, "report.interval"), 1.2, PAPER_LEFT },
                                            { word(view, "report.duty.done"), 1, PAPER_RIGHT },
                                            { word(view, "report.duty.due"), 1, PAPER_RIGHT },
                                            { word(view, "report.duty.overdue"), 1, PAPER_RIGHT } };
    struct str *cells = arena_alloc(view->arena, (size_t)report->duties_count * 5 + 1, sizeof(*cells));
    paper_heading(paper, 1, word(view, "report.part.duties"));
    for (int i = 0; cells && i < report->duties_count; i++) {
        cells[i * 5] = report->duties[i].name;
        cells[i * 5 + 1] = report->duties[i].interval;
        cells[i * 5 + 2] = number(view, report->duties[i].done);
        cells[i * 5 + 3] = number(view, report->duties[i].due);
        cells[i * 5 + 4] = number(view, report->duties[i].overdue);
    }
    paper_table(paper, columns, 5, cells, cells ? report->duties_count : 0, word(view, "report.none.duties"));
}

enum err_code report_paper(const struct report *report, const struct report_view *view, struct buf *out,
                           struct err *err)
{
    const struct str line =
        arena_printf(view->arena, "%.*s   %.*s", STR_ARG(report->name), STR_ARG(report->month));
    const struct paper_config config = { .title = word(view, "report.name"),
                                         .header = line,
                                         .footer = report->name,
                                         .page_format = word(view, "report.page_of") };
    struct paper *paper = paper_new(&config);
    enum err_code rc;
    if (!paper)
        return err_nomem(err);
    paper_title(paper, word(view, "report.name"), line);
    summary(paper, report, view);
    availability(paper, report, view);
    alarms(paper, report, view);
    clocks(paper, report, view);
    tickets(paper, report, view);
    duties(paper, report, view);
    paper_signature(paper, word(view, "report.signature"), word(view, "report.date"));
    rc = paper_finish(paper, out, err);
    paper_free(paper);
    return rc ? err_in(err, "report.paper") : ERR_OK;
}
