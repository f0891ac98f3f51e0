/* paper.h - official documents on A4: headings, text, tables, charts, page x of y, as one PDF.
 *
 * Content flows from top to bottom; what does not fit goes to the next page, tables repeat their head there,
 * a heading is never left alone at the foot.  Chinese is set in WenQuanYi Micro Hei by Pango (line breaking
 * and punctuation by its rules).  Pages are recorded first and painted at the end, when their number is
 * known. Lengths are PDF points (1/72 inch).  Colours tell the same as on the screen, never alone: every bar
 * has its figure. Threads: a paper has one owner; several papers at once are fine.  Layer: learn. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define PAPER_PAGES_MAX 500
#define PAPER_COLUMNS_MAX 12
#define PAPER_POINTS_MAX 400 /* values of one chart */

struct paper;

struct paper_config {
    struct str title;       /* document title, also in the file's properties */
    struct str header;      /* small line at the head of every page but the first; may be empty */
    struct str footer;      /* left of the page number; may be empty */
    struct str page_format; /* "第 {page} 页，共 {pages} 页": both names once */
};

/* A new document; NULL when there is no memory.  Texts are copied.  Caller frees. */
struct paper *paper_new(const struct paper_config *config) MUST_CHECK;
void paper_free(struct paper *paper);

/* The title block of the first page: large title, a line below it. */
void paper_title(struct paper *paper, struct str title, struct str line);
/* Level 1 or 2. */
void paper_heading(struct paper *paper, int level, struct str text);
void paper_text(struct paper *paper, struct str text);
/* Vertical space; nothing at the top of a page. */
void paper_space(struct paper *paper, double points);

/* Figures side by side, each a large value over a small label; at most 6. */
struct paper_figure {
    struct str value, label;
};
void paper_figures(struct paper *paper, const struct paper_figure *figures, int count);

enum paper_align { PAPER_LEFT, PAPER_RIGHT, PAPER_CENTRE };
struct paper_column {
    struct str title;
    double share; /* of the width; shares need not add up to anything */
    enum paper_align align;
};
/* `cells` are rows x columns texts; a cell wraps, a row is never split across pages unless it is taller than
 * a page.  Without rows `empty` stands there. */
void paper_table(struct paper *paper, const struct paper_column *columns, int columns_count,
                 const struct str *cells, int rows, struct str empty);

/* Vertical bars with a value over each, one a label; `unit` at the axis.  A value that is NaN is a gap.
 * `limit` is drawn as a dashed line when it is no NaN.  The axis begins at `low`. */
struct paper_chart {
    struct str title, unit;
    const struct str *labels;
    const double *values;
    int count;
    double low, high; /* of the axis; both 0: from 0 to the largest value */
    double limit;
    int decimals; /* of the figures over the bars; -1: no figures */
};
void paper_bars(struct paper *paper, const struct paper_chart *chart);

/* A line for a signature and a date at the right: "label ____". */
void paper_signature(struct paper *paper, struct str label, struct str date_label);

/* Paints everything and appends the PDF to `out`.
 * ERR_LIMIT more than PAPER_PAGES_MAX pages or the buffer is full; ERR_NOMEM; ERR_UNSUPPORTED the font is
 * missing (argument "font"). */
MUST_CHECK enum err_code paper_finish(struct paper *paper, struct buf *out, struct err *err);
