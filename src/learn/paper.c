/* paper.c - see paper.h
 *
 * Every page is a cairo recording surface; paper_finish() replays them onto the PDF and adds head and foot.
 * Failures are remembered (paper->failed) and come out at the end, as with struct buf. */
#include "learn/paper.h"

#include <cairo-pdf.h>
#include <math.h>
#include <pango/pangocairo.h>

#define FONT "WenQuanYi Micro Hei"
#define PAGE_WIDTH 595.276
#define PAGE_HEIGHT 841.89
#define MARGIN 56.7 /* 20 mm */
#define FOOT 40.0
#define WIDTH (PAGE_WIDTH - 2 * MARGIN)
#define BOTTOM (PAGE_HEIGHT - MARGIN - FOOT)
#define CELL_PAD 3.5
#define BASE_SIZE 9.5

struct colour {
    double red, green, blue;
};
static const struct colour INK = { 0.13, 0.15, 0.18 }, SOFT = { 0.42, 0.45, 0.5 }, LINE = { 0.78, 0.8, 0.83 },
                           BAND = { 0.955, 0.96, 0.968 }, ACCENT = { 0.12, 0.36, 0.72 },
                           WARN = { 0.78, 0.2, 0.16 };

struct paper {
    cairo_surface_t *pages[PAPER_PAGES_MAX];
    int pages_count;
    cairo_t *cairo; /* of the last page */
    double y;
    char *title, *header, *footer, *page_format;
    enum err_code failed;
};

static void page_new(struct paper *paper)
{
    if (paper->failed)
        return;
    if (paper->pages_count == PAPER_PAGES_MAX) {
        paper->failed = ERR_LIMIT;
        return;
    }
    const cairo_rectangle_t extents = { 0, 0, PAGE_WIDTH, PAGE_HEIGHT };
    cairo_surface_t *page = cairo_recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, &extents);
    if (paper->cairo)
        cairo_destroy(paper->cairo);
    paper->cairo = cairo_create(page);
    paper->pages[paper->pages_count++] = page;
    paper->y = paper->pages_count > 1 ? MARGIN + 14 : MARGIN;
    if (cairo_status(paper->cairo) != CAIRO_STATUS_SUCCESS)
        paper->failed = ERR_NOMEM;
}

static char *copy(struct str text)
{
    return mem_copy(text.ptr, text.len);
}

struct paper *paper_new(const struct paper_config *config)
{
    struct paper *paper = mem_alloc(1, sizeof *paper);
    if (!paper)
        return NULL;
    paper->title = copy(config->title);
    paper->header = copy(config->header);
    paper->footer = copy(config->footer);
    paper->page_format = copy(config->page_format);
    page_new(paper);
    if (paper->title && paper->header && paper->footer && paper->page_format && !paper->failed)
        return paper;
    paper_free(paper);
    return NULL;
}

void paper_free(struct paper *paper)
{
    if (!paper)
        return;
    if (paper->cairo)
        cairo_destroy(paper->cairo);
    for (int i = 0; i < paper->pages_count; i++)
        cairo_surface_destroy(paper->pages[i]);
    mem_free(paper->title);
    mem_free(paper->header);
    mem_free(paper->footer);
    mem_free(paper->page_format);
    mem_free(paper);
}

static void colour(cairo_t *cairo, struct colour c)
{
    cairo_set_source_rgb(cairo, c.red, c.green, c.blue);
}

/* A laid out text of that width; the caller unrefs.  Ill-formed UTF-8 would stop Pango: callers hand in
 * checked texts, and what still is not one is shown as nothing. */
static PangoLayout *layout_new(cairo_t *cairo, struct str text, double size, bool bold, double width,
                               enum paper_align align)
{
    PangoLayout *layout = pango_cairo_create_layout(cairo);
    PangoFontDescription *font = pango_font_description_from_string(FONT);
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    pango_font_description_set_weight(font, bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_spacing(layout, (int)(size * 0.28 * PANGO_SCALE));
    pango_layout_set_alignment(layout, align == PAPER_RIGHT    ? PANGO_ALIGN_RIGHT
                                       : align == PAPER_CENTRE ? PANGO_ALIGN_CENTER
                                                               : PANGO_ALIGN_LEFT);
    if (text.len && text.len <= INT32_MAX && utf8_valid(text))
        pango_layout_set_text(layout, text.ptr, (int)text.len);
    return layout;
}

static double layout_height(PangoLayout *layout)
{
    int height;
    pango_layout_get_size(layout, NULL, &height);
    return (double)height / PANGO_SCALE;
}

static void show(cairo_t *cairo, PangoLayout *layout, double x, double y)
{
    cairo_move_to(cairo, x, y);
    pango_cairo_show_layout(cairo, layout);
}

/* Room for `height` on this page, else a new one; false once the paper has failed. */
static bool room(struct paper *paper, double height)
{
    if (!paper->failed && paper->y + height > BOTTOM && paper->y > MARGIN + 20)
        page_new(paper);
    return !paper->failed;
}

static void text_block(struct paper *paper, struct str text, double size, bool bold, struct colour ink,
                       double keep)
{
    if (paper->failed)
        return;
    PangoLayout *layout = layout_new(paper->cairo, text, size, bold, WIDTH, PAPER_LEFT);
    const double height = layout_height(layout);
    if (height <= BOTTOM - MARGIN && room(paper, height + keep)) {
        colour(paper->cairo, ink);
        show(paper->cairo, layout, MARGIN, paper->y);
        paper->y += height;
    } else if (!paper->failed) { /* longer than a page: line by line */
        PangoLayoutIter *line = pango_layout_get_iter(layout);
        do {
            PangoRectangle box;
            pango_layout_iter_get_line_extents(line, NULL, &box);
            const double line_height = (double)box.height / PANGO_SCALE + size * 0.28;
            if (!room(paper, line_height))
                break;
            colour(paper->cairo, ink);
            cairo_move_to(paper->cairo, MARGIN,
                          paper->y + (double)(pango_layout_iter_get_baseline(line) - box.y) / PANGO_SCALE);
            pango_cairo_show_layout_line(paper->cairo, pango_layout_iter_get_line_readonly(line));
            paper->y += line_height;
        } while (pango_layout_iter_next_line(line));
        pango_layout_iter_free(line);
    }
    g_object_unref(layout);
}

void paper_title(struct paper *paper, struct str title, struct str line)
{
    if (paper->failed)
        return;
    PangoLayout *layout = layout_new(paper->cairo, title, 20, true, WIDTH, PAPER_CENTRE);
    colour(paper->cairo, INK);
    show(paper->cairo, layout, MARGIN, paper->y + 6);
    paper->y += layout_height(layout) + 14;
    g_object_unref(layout);
    layout = layout_new(paper->cairo, line, 10, false, WIDTH, PAPER_CENTRE);
    colour(paper->cairo, SOFT);
    show(paper->cairo, layout, MARGIN, paper->y);
    paper->y += layout_height(layout) + 10;
    g_object_unref(layout);
    colour(paper->cairo, WARN); /* the red rule below the head of an official document */
    cairo_set_line_width(paper->cairo, 1.2);
    cairo_move_to(paper->cairo, MARGIN, paper->y);
    cairo_line_to(paper->cairo, MARGIN + WIDTH, paper->y);
    cairo_stroke(paper->cairo);
    paper->y += 14;
}

void paper_heading(struct paper *paper, int level, struct str text)
{
    paper_space(paper, level == 1 ? 14 : 9);
    text_block(paper, text, level == 1 ? 13 : 11, true, INK, 70);
    paper_space(paper, 5);
}

void paper_text(struct paper *paper, struct str text)
{
    text_block(paper, text, BASE_SIZE + 0.5, false, INK, 0);
    paper_space(paper, 4);
}

void paper_space(struct paper *paper, double points)
{
    if (paper->y > MARGIN + 20)
        paper->y += points;
}

void paper_figures(struct paper *paper, const struct paper_figure *figures, int count)
{
    if (count < 1 || !room(paper, 52))
        return;
    const double each = WIDTH / count;
    for (int i = 0; i < count; i++) {
        const double x = MARGIN + each * i;
        PangoLayout *value = layout_new(paper->cairo, figures[i].value, 18, true, each, PAPER_CENTRE);
        PangoLayout *label = layout_new(paper->cairo, figures[i].label, 8.5, false, each, PAPER_CENTRE);
        colour(paper->cairo, INK);
        show(paper->cairo, value, x, paper->y + 4);
        colour(paper->cairo, SOFT);
        show(paper->cairo, label, x, paper->y + 31);
        g_object_unref(value);
        g_object_unref(label);
        if (i) {
            colour(paper->cairo, LINE);
            cairo_set_line_width(paper->cairo, 0.6);
            cairo_move_to(paper->cairo, x, paper->y + 6);
            cairo_line_to(paper->cairo, x, paper->y + 44);
            cairo_stroke(paper->cairo);
        }
    }
    paper->y += 54;
}

struct row {
    PangoLayout *cells[PAPER_COLUMNS_MAX];
    double height;
};

static void row_lay(struct paper *paper, const struct paper_column *columns, int count, const double *widths,
                    const struct str *texts, bool head, struct row *out)
{
    out->height = 0;
    for (int i = 0; i < count; i++) {
        out->cells[i] = layout_new(paper->cairo, head ? columns[i].title : texts[i], BASE_SIZE - 0.5, head,
                                   widths[i] - 2 * CELL_PAD, columns[i].align);
        const double height = layout_height(out->cells[i]) + 2 * CELL_PAD;
        out->height = height > out->height ? height : out->height;
    }
}

static void row_show(struct paper *paper, const struct row *row, int count, const double *widths, bool head)
{
    cairo_t *cairo = paper->cairo;
    if (head) {
        colour(cairo, BAND);
        cairo_rectangle(cairo, MARGIN, paper->y, WIDTH, row->height);
        cairo_fill(cairo);
    }
    colour(cairo, INK);
    double x = MARGIN;
    for (int i = 0; i < count; i++) {
        show(cairo, row->cells[i], x + CELL_PAD, paper->y + CELL_PAD);
        x += widths[i];
    }
    paper->y += row->height;
    colour(cairo, LINE);
    cairo_set_line_width(cairo, head ? 0.8 : 0.4);
    cairo_move_to(cairo, MARGIN, paper->y);
    cairo_line_to(cairo, MARGIN + WIDTH, paper->y);
    cairo_stroke(cairo);
}

static void row_done(struct row *row, int count)
{
    for (int i = 0; i < count; i++)
        g_object_unref(row->cells[i]);
}

void paper_table(struct paper *paper, const struct paper_column *columns, int columns_count,
                 const struct str *cells, int rows, struct str empty)
{
    if (paper->failed || columns_count < 1 || columns_count > PAPER_COLUMNS_MAX)
        return;
    double widths[PAPER_COLUMNS_MAX], shares = 0;
    for (int i = 0; i < columns_count; i++)
        shares += columns[i].share;
    for (int i = 0; i < columns_count; i++)
        widths[i] = WIDTH * columns[i].share / shares;
    struct row head, row;
    row_lay(paper, columns, columns_count, widths, NULL, true, &head);
    if (room(paper, head.height + 40))
        row_show(paper, &head, columns_count, widths, true);
    for (int i = 0; i < rows && !paper->failed; i++) {
        row_lay(paper, columns, columns_count, widths, cells + (ptrdiff_t)i * columns_count, false, &row);
        const int page = paper->pages_count;
        if (room(paper, row.height) && paper->pages_count != page)
            row_show(paper, &head, columns_count, widths, true);
        if (!paper->failed)
            row_show(paper, &row, columns_count, widths, false);
        row_done(&row, columns_count);
    }
    row_done(&head, columns_count);
    if (!rows)
        text_block(paper, empty, BASE_SIZE - 0.5, false, SOFT, 0);
    paper_space(paper, 8);
}

/* A round number at or above `value`: 1, 2 or 5 times a power of ten. */
static double round_up(double value)
{
    if (!(value > 0))
        return 1;
    const double power = pow(10, floor(log10(value)));
    for (int i = 0; i < 3; i++) {
        static const double steps[] = { 1, 2, 5 };
        if (value <= steps[i] * power * (1 + 1e-9))
            return steps[i] * power;
    }
    return 10 * power;
}

static void chart_label(struct paper *paper, struct str text, double x, double y, double width,
                        enum paper_align align, double size, struct colour ink)
{
    PangoLayout *layout = layout_new(paper->cairo, text, size, false, width, align);
    colour(paper->cairo, ink);
    show(paper->cairo, layout, x, y);
    g_object_unref(layout);
}

static void chart_axis(struct paper *paper, double left, double top, double width, double height, double low,
                       double high)
{
    for (int i = 0; i <= 4; i++) {
        char text[32];
        const double value = low + (high - low) * i / 4, y = top + height * (4 - i) / 4;
        const int decimals = high - low >= 20 ? 0 : high - low >= 8 ? 1 : 2;
        const int len = snprintf(text, sizeof text, "%.*f", decimals, value);
        colour(paper->cairo, LINE);
        cairo_set_line_width(paper->cairo, 0.4);
        cairo_move_to(paper->cairo, left, y);
        cairo_line_to(paper->cairo, left + width, y);
        cairo_stroke(paper->cairo);
        chart_label(paper, (struct str) { text, (size_t)len }, left - 40, y - 5, 36, PAPER_RIGHT, 7, SOFT);
    }
}

void paper_bars(struct paper *paper, const struct paper_chart *chart)
{
    const double height = 110;
    if (chart->count < 1 || chart->count > PAPER_POINTS_MAX || !room(paper, height + 52))
        return;
    double low = chart->low, high = chart->high;
    if (low == 0 && high == 0) {
        for (int i = 0; i < chart->count; i++)
            high = chart->values[i] > high ? chart->values[i] : high;
        high = round_up(high > chart->limit || isnan(chart->limit) ? high : chart->limit);
    }
    chart_label(paper, chart->title, MARGIN, paper->y, WIDTH - 80, PAPER_LEFT, 9, INK);
    chart_label(paper, chart->unit, MARGIN + WIDTH - 80, paper->y, 80, PAPER_RIGHT, 8, SOFT);
    const double left = MARGIN + 42, top = paper->y + 20, width = WIDTH - 42, each = width / chart->count;
    chart_axis(paper, left, top, width, height, low, high);
    const int skip = each < 14 ? (int)ceil(14 / each) : 1; /* labels that have room */
    for (int i = 0; i < chart->count; i++) {
        const double value = chart->values[i], x = left + each * i;
        if (i % skip == 0)
            chart_label(paper, chart->labels[i], x - 20, top + height + 3, each + 40, PAPER_CENTRE, 7, SOFT);
        if (isnan(value))
            continue;
        const double share = fmin(fmax((value - low) / (high - low), 0), 1), bar = height * share;
        const bool bad = !isnan(chart->limit) && low > 0 && value < chart->limit;
        colour(paper->cairo, bad ? WARN : ACCENT);
        cairo_rectangle(paper->cairo, x + each * 0.18, top + height - bar, each * 0.64, bar);
        cairo_fill(paper->cairo);
        if (chart->decimals >= 0 && each >= 14) {
            char text[32];
            const int len = snprintf(text, sizeof text, "%.*f", chart->decimals, value);
            chart_label(paper, (struct str) { text, (size_t)len }, x - 15, top + height - bar - 10, each + 30,
                        PAPER_CENTRE, 6.5, INK);
        }
    }
    if (!isnan(chart->limit) && chart->limit >= low && chart->limit <= high) {
        const double dash[] = { 3, 2 }, y = top + height * (1 - (chart->limit - low) / (high - low));
        cairo_set_dash(paper->cairo, dash, 2, 0);
        colour(paper->cairo, WARN);
        cairo_set_line_width(paper->cairo, 0.8);
        cairo_move_to(paper->cairo, left, y);
        cairo_line_to(paper->cairo, left + width, y);
        cairo_stroke(paper->cairo);
        cairo_set_dash(paper->cairo, NULL, 0, 0);
    }
    paper->y = top + height + 22;
}

void paper_signature(struct paper *paper, struct str label, struct str date_label)
{
    paper_space(paper, 24);
    if (!room(paper, 60))
        return;
    const struct str labels[] = { label, date_label };
    for (int i = 0; i < 2; i++) {
        chart_label(paper, labels[i], MARGIN + WIDTH - 220, paper->y, 100, PAPER_RIGHT, 10, INK);
        colour(paper->cairo, INK);
        cairo_set_line_width(paper->cairo, 0.5);
        cairo_move_to(paper->cairo, MARGIN + WIDTH - 114, paper->y + 13);
        cairo_line_to(paper->cairo, MARGIN + WIDTH, paper->y + 13);
        cairo_stroke(paper->cairo);
        paper->y += 26;
    }
}

static cairo_status_t write_bytes(void *closure, const unsigned char *bytes, unsigned len)
{
    buf_add(closure, bytes, len);
    return ((struct buf *)closure)->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

/* Is the font there, and not a replacement without Chinese? */
static bool font_there(cairo_t *cairo)
{
    PangoLayout *layout = layout_new(cairo, STR("\xe9\x97\xad\xe7\x8e\xaf"), 10, false, 100, PAPER_LEFT);
    const bool there = pango_layout_get_unknown_glyphs_count(layout) == 0;
    g_object_unref(layout);
    return there;
}

static void page_frame(struct paper *paper, cairo_t *cairo, int page)
{
    struct err_arg args[] = { { .name = "page", .number = page + 1 },
                              { .name = "pages", .number = paper->pages_count } };
    struct buf text;
    buf_init(&text, 1024);
    for (const char *at = paper->page_format; *at; at++) {
        int used = -1;
        for (int i = 0; i < 2; i++) {
            const size_t len = strlen(args[i].name);
            if (*at == '{' && strncmp(at + 1, args[i].name, len) == 0 && at[len + 1] == '}')
                used = i;
        }
        if (used < 0) {
            buf_char(&text, *at);
        } else {
            buf_i64(&text, args[used].number);
            at += strlen(args[used].name) + 1;
        }
    }
    const struct {
        struct str text;
        double y;
        enum paper_align align;
    } lines[] = { { buf_get(&text), PAGE_HEIGHT - MARGIN - 12, PAPER_RIGHT },
                  { str_from(paper->footer), PAGE_HEIGHT - MARGIN - 12, PAPER_LEFT },
                  { page ? str_from(paper->header) : STR(""), MARGIN - 10, PAPER_LEFT } };
    for (int i = 0; i < 3; i++) {
        PangoLayout *layout = layout_new(cairo, lines[i].text, 8, false, WIDTH, lines[i].align);
        colour(cairo, SOFT);
        show(cairo, layout, MARGIN, lines[i].y);
        g_object_unref(layout);
    }
    buf_done(&text);
}

enum err_code paper_finish(struct paper *paper, struct buf *out, struct err *err)
{
    if (paper->failed == ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "learn.pages_max", ARG_INT("max", PAPER_PAGES_MAX), ARG_END);
    if (paper->failed)
        return err_nomem(err);
    if (!font_there(paper->cairo))
        return err_set(err, ERR_UNSUPPORTED, "learn.font", ARG_TEXT("font", FONT), ARG_END);
    cairo_surface_t *pdf = cairo_pdf_surface_create_for_stream(write_bytes, out, PAGE_WIDTH, PAGE_HEIGHT);
    cairo_pdf_surface_set_metadata(pdf, CAIRO_PDF_METADATA_TITLE, paper->title);
    cairo_pdf_surface_set_metadata(pdf, CAIRO_PDF_METADATA_CREATOR, "bihuan");
    cairo_t *cairo = cairo_create(pdf);
    for (int i = 0; i < paper->pages_count; i++) {
        cairo_set_source_surface(cairo, paper->pages[i], 0, 0);
        cairo_paint(cairo);
        page_frame(paper, cairo, i);
        cairo_show_page(cairo);
    }
    cairo_destroy(cairo);
    cairo_surface_finish(pdf);
    const bool ok = cairo_surface_status(pdf) == CAIRO_STATUS_SUCCESS;
    cairo_surface_destroy(pdf);
    const enum err_code rc = buf_check(out, err);
    return rc || ok ? rc : err_nomem(err);
}
