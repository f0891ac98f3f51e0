/* imports.h - which models stand behind the imports of a decision.  Layer: platform/decision, not for other
 * rooms.
 *
 * A draft follows what is published: an import is the published version of the decision whose model has that
 * namespace.  A version that passes its tests is pinned to the versions it was tested with, and so it stays:
 * what is published later changes nothing in it.  Versions that are imported have pins of their own. */
#pragma once
#include "platform/decision/decision.h"

/* One version that is imported, directly or by another import. */
struct pin {
    struct str ns, code;
    int64_t decision_id, number, published; /* published: that decision's published version, 0 none */
};

struct imports {
    struct arena *arena;
    struct str own; /* namespace of the model itself; empty when the text cannot be read */
    struct dmn_source sources[DMN_SOURCES_MAX]; /* [0] is the model, then those of `pins` */
    struct pin pins[DMN_SOURCES_MAX];
    int count, direct; /* of pins; the first `direct` are those that the model itself names */
    struct err why;    /* code ERR_OK, or why they do not go together */
};

/* What a text imports as things are published now; nothing for one that cannot be read, which loading then
 * tells.  Texts lie in `arena`.  Store errors, ERR_NOMEM. */
MUST_CHECK enum err_code imports_follow(struct tx *tx, struct arena *arena, struct str text,
                                        struct imports *out, struct err *err);
/* What a version that was tested is pinned to. */
MUST_CHECK enum err_code imports_pinned(struct tx *tx, struct arena *arena, int64_t id, int64_t number,
                                        struct str text, struct imports *out, struct err *err);
/* Pins a version to its imports. */
MUST_CHECK enum err_code imports_pin(struct tx *tx, int64_t id, int64_t number, const struct imports *imports,
                                     struct err *err);
/* Drafts of the decision have no pins. */
MUST_CHECK enum err_code imports_unpin(struct tx *tx, int64_t id, struct err *err);
/* Versions from before namespaces were kept get theirs. */
MUST_CHECK enum err_code imports_name(struct tx *tx, void *unused, struct err *err);

/* Each in a read of its own: of a text that is only looked at (`own` may stay empty), and of a version as its
 * state says. */
MUST_CHECK enum err_code imports_of_text(struct decisions *decisions, struct arena *arena, struct str text,
                                         struct imports *out, struct err *err);
MUST_CHECK enum err_code imports_of_version(struct decisions *decisions, struct arena *arena,
                                            const struct decision_version_row *version, struct imports *out,
                                            struct err *err);
/* From the decisions of the packs alone. */
MUST_CHECK enum err_code imports_of_packs(const struct packs *packs, struct arena *arena, struct str text,
                                          struct imports *out, struct err *err);
