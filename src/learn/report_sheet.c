/* report_sheet.c - the monthly report as a workbook: a sheet a part, with charts over the days. */
#include "learn/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xlsxwriter.h>

struct sheet {
    const struct report_view *view;
    lxw_workbook *book;
    lxw_format *bold, *head, *figure;
};

static const char *text(const struct report_view *view, struct str s)
{
    const struct str copy = arena_str(view->arena, s);
    return copy.ptr ? copy.ptr : "";
}

static const char *word(const struct report_view *view, const char *key)
{
    return text(view, words_get(view->words, view->lang, str_from(key)));
}

static lxw_worksheet *page(struct sheet *sheet, const char *title_key, const char *const *columns, int count)
{
    lxw_worksheet *ws = workbook_add_worksheet(sheet->book, word(sheet->view, title_key));
    for (int i = 0; i < count; i++)
        (void)worksheet_write_string(ws, 0, (lxw_col_t)i, word(sheet->view, columns[i]), sheet->head);
    worksheet_freeze_panes(ws, 1, 0);
    (void)worksheet_set_column(ws, 0, (lxw_col_t)(count - 1), 18, NULL);
    return ws;
}

static void put(lxw_worksheet *ws, int row, int column, const char *value)
{
    (void)worksheet_write_string(ws, (lxw_row_t)row, (lxw_col_t)column, value, NULL);
}

static void put_number(lxw_worksheet *ws, int row, int column, double value)
{
    (void)worksheet_write_number(ws, (lxw_row_t)row, (lxw_col_t)column, value, NULL);
}

/* A share in percent; nothing where there is nothing to divide by. */
static void put_share(struct sheet *sheet, lxw_worksheet *ws, int row, int column, int64_t part,
                      int64_t whole)
{
    if (whole)
        (void)worksheet_write_number(ws, (lxw_row_t)row, (lxw_col_t)column, (double)part / (double)whole,
                                     sheet->figure);
}

static void summary(struct sheet *sheet, const struct report *report)
{
    const struct report_view *view = sheet->view;
    lxw_worksheet *ws = workbook_add_worksheet(sheet->book, word(view, "report.part.summary"));
    (void)worksheet_set_column(ws, 0, 0, 28, NULL);
    (void)worksheet_set_column(ws, 1, 1, 40, NULL);
    (void)worksheet_write_string(ws, 0, 0, word(view, "report.name"), sheet->bold);
    put(ws, 1, 0, word(view, "report.service"));
    put(ws, 1, 1, text(view, report->name));
    put(ws, 2, 0, word(view, "report.month"));
    put(ws, 2, 1, text(view, report->month));
    put(ws, 3, 0, word(view, "report.availability"));
    put_share(sheet, ws, 3, 1, report->up, report->total);
    put(ws, 4, 0, word(view, "report.alarms"));
    put_number(ws, 4, 1, (double)report->alarms_total);
    put(ws, 5, 0, word(view, "report.tickets.opened"));
    put_number(ws, 5, 1, (double)report->tickets_total);
    put(ws, 6, 0, word(view, "report.tickets.closed"));
    put_number(ws, 6, 1, (double)report->closed);
    put(ws, 7, 0, word(view, "report.tickets.open"));
    put_number(ws, 7, 1, (double)report->open);
    put(ws, 8, 0, word(view, "report.sla"));
    put_share(sheet, ws, 8, 1, report->met, report->met + report->missed);
    put(ws, 9, 0, word(view, "report.duty.done"));
    put_number(ws, 9, 1, report->done);
    put(ws, 10, 0, word(view, "report.duty.due"));
    put_number(ws, 10, 1, report->due);
    put(ws, 11, 0, word(view, "report.duty.overdue"));
    put_number(ws, 11, 1, report->overdue);
    put(ws, 12, 0, word(view, "report.maintenance"));
    put_number(ws, 12, 1, (double)report->maint_total);
    put(ws, 13, 0, text(view, report_rule(report, view)));
}

static void chart(struct sheet *sheet, lxw_worksheet *ws, const char *page_name, int column, int rows,
                  const char *title, int at_row, bool line)
{
    lxw_chart *one = workbook_add_chart(sheet->book, line ? LXW_CHART_LINE : LXW_CHART_COLUMN);
    lxw_chart_series *series = chart_add_series(one, NULL, NULL);
    if (!series)
        return;
    chart_series_set_categories(series, page_name, 1, 0, (lxw_row_t)rows, 0);
    chart_series_set_values(series, page_name, 1, (lxw_col_t)column, (lxw_row_t)rows, (lxw_col_t)column);
    chart_series_set_name(series, title);
    chart_title_set_name(one, title);
    chart_legend_set_position(one, LXW_CHART_LEGEND_NONE);
    (void)worksheet_insert_chart(ws, (lxw_row_t)at_row, 5, one);
}

static void days(struct sheet *sheet, const struct report *report)
{
    static const char *const columns[] = { "report.day", "report.availability", "report.alarms",
                                           "report.tickets" };
    const char *name = word(sheet->view, "report.part.days");
    lxw_worksheet *ws = page(sheet, "report.part.days", columns, 4);
    for (int i = 0; i < report->days_count; i++) {
        char day[DAY_TEXT_SIZE];
        day_text(report->from_day + i, day);
        put(ws, i + 1, 0, day);
        put_share(sheet, ws, i + 1, 1, report->days[i].up, report->days[i].total);
        put_number(ws, i + 1, 2, report->days[i].alarms);
        put_number(ws, i + 1, 3, report->days[i].tickets);
    }
    chart(sheet, ws, name, 1, report->days_count, word(sheet->view, "report.availability"), 1, true);
    chart(sheet, ws, name, 2, report->days_count, word(sheet->view, "report.alarms"), 17, false);
}

static void checks(struct sheet *sheet, const struct report *report)
{
    static const char *const columns[] = { "report.check", "report.availability", "report.samples",
                                           "report.no_data" };
    lxw_worksheet *ws = page(sheet, "report.part.availability", columns, 4);
    for (int i = 0; i < report->checks_count; i++) {
        put(ws, i + 1, 0, text(sheet->view, report->checks[i].name));
        put_share(sheet, ws, i + 1, 1, report->checks[i].up, report->checks[i].total);
        put_number(ws, i + 1, 2, (double)report->checks[i].total);
        put_number(ws, i + 1, 3, (double)report->checks[i].no_data);
    }
}

static void alarms(struct sheet *sheet, const struct report *report)
{
    static const char *const columns[] = { "report.opened", "report.grade", "report.alarm", "report.count",
                                           "report.cleared" };
    lxw_worksheet *ws = page(sheet, "report.part.alarms", columns, 5);
    for (int i = 0; i < report->alarms_count; i++) {
        put(ws, i + 1, 0,
            text(sheet->view, report_instant(report, sheet->view->arena, report->alarms[i].opened_ms)));
        put_number(ws, i + 1, 1, report->alarms[i].grade);
        put(ws, i + 1, 2, text(sheet->view, report->alarms[i].title));
        put_number(ws, i + 1, 3, (double)report->alarms[i].count);
        put(ws, i + 1, 4,
            text(sheet->view, report_instant(report, sheet->view->arena, report->alarms[i].cleared_ms)));
    }
}

static void clocks(struct sheet *sheet, const struct report *report)
{
    static const char *const columns[] = { "report.clock", "report.met", "report.missed", "report.running",
                                           "report.sla" };
    lxw_worksheet *ws = page(sheet, "report.part.sla", columns, 5);
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        char key[40];
        (void)snprintf(key, sizeof(key), "sla.clock.%s", sla_clock_name((enum sla_clock)c));
        put(ws, c + 1, 0, word(sheet->view, key));
        put_number(ws, c + 1, 1, (double)report->clocks[c].met);
        put_number(ws, c + 1, 2, (double)report->clocks[c].missed);
        put_number(ws, c + 1, 3, (double)report->clocks[c].running);
        put_share(sheet, ws, c + 1, 4, report->clocks[c].met,
                  report->clocks[c].met + report->clocks[c].missed);
    }
}

static void tickets(struct sheet *sheet, const struct report *report)
{
    static const char *const columns[] = { "report.number", "report.title", "report.level", "report.opened",
                                           "report.closed" };
    lxw_worksheet *ws = page(sheet, "report.part.tickets", columns, 5);
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        char key[40];
        (void)snprintf(key, sizeof(key), "sla.clock.%s", sla_clock_name((enum sla_clock)c));
        (void)worksheet_write_string(ws, 0, (lxw_col_t)(5 + c), word(sheet->view, key), sheet->head);
    }
    for (int i = 0; i < report->tickets_count; i++) {
        const struct ticket_line *ticket = &report->tickets[i];
        put(ws, i + 1, 0, text(sheet->view, ticket->number));
        put(ws, i + 1, 1, text(sheet->view, ticket->title));
        put(ws, i + 1, 2, text(sheet->view, ticket->level));
        put(ws, i + 1, 3, text(sheet->view, report_instant(report, sheet->view->arena, ticket->opened_ms)));
        put(ws, i + 1, 4, text(sheet->view, report_instant(report, sheet->view->arena, ticket->closed_ms)));
        for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
            char key[40];
            if (!ticket->clocks[c].agreed)
                continue;
            (void)snprintf(key, sizeof(key), "sla.state.%s", sla_state_name(ticket->clocks[c].state));
            put(ws, i + 1, 5 + c, word(sheet->view, key));
        }
    }
}

static void duties(struct sheet *sheet, const struct report *report)
{
    static const char *const columns[] = { "report.duty", "report.interval", "report.duty.done",
                                           "report.duty.due", "report.duty.overdue" };
    lxw_worksheet *ws = page(sheet, "report.part.duties", columns, 5);
    for (int i = 0; i < report->duties_count; i++) {
        put(ws, i + 1, 0, text(sheet->view, report->duties[i].name));
        put(ws, i + 1, 1, text(sheet->view, report->duties[i].interval));
        put_number(ws, i + 1, 2, report->duties[i].done);
        put_number(ws, i + 1, 3, report->duties[i].due);
        put_number(ws, i + 1, 4, report->duties[i].overdue);
    }
}

enum err_code report_sheet(const struct report *report, const struct report_view *view, struct buf *out,
                           struct err *err)
{
    char path[] = "/tmp/bihuan-report-XXXXXX";
    const int fd = mkstemp(path);
    struct sheet sheet = { .view = view };
    lxw_workbook_options options = { .constant_memory = LXW_FALSE, .tmpdir = NULL };
    lxw_error failed;
    enum err_code rc;
    if (fd < 0)
        return err_set(err, ERR_IO, "file.open", ARG_TEXT("path", "/tmp"), ARG_ERRNO(errno), ARG_END);
    sheet.book = workbook_new_opt(path, &options);
    if (!sheet.book) {
        (void)close(fd);
        (void)unlink(path);
        return err_nomem(err);
    }
    sheet.bold = workbook_add_format(sheet.book);
    format_set_bold(sheet.bold);
    format_set_font_size(sheet.bold, 16);
    sheet.head = workbook_add_format(sheet.book);
    format_set_bold(sheet.head);
    format_set_bottom(sheet.head, LXW_BORDER_THIN);
    sheet.figure = workbook_add_format(sheet.book);
    format_set_num_format(sheet.figure, "0.00%");
    format_set_align(sheet.figure, LXW_ALIGN_LEFT);
    summary(&sheet, report);
    days(&sheet, report);
    checks(&sheet, report);
    alarms(&sheet, report);
    clocks(&sheet, report);
    tickets(&sheet, report);
    duties(&sheet, report);
    failed = workbook_close(sheet.book);
    rc = failed ? err_set(err, ERR_IO, "file.read", ARG_TEXT("reason", lxw_strerror(failed)), ARG_END)
                : buf_read_file(out, path, err);
    (void)close(fd);
    (void)unlink(path);
    return rc ? err_in(err, "report.sheet") : ERR_OK;
}
