/* handle_sql.h - what the room asks of tables of other rooms: names of people, where a case stands.
 * Layer: handle. */
#pragma once
#include "platform/identity/principal.h"
#include "store/store.h"

/* The user's name; "" when there is no active one. */
struct str user_name_sql(struct tx *tx, int64_t user, struct arena *arena);
/* The active user of that login, or 0. */
int64_t user_by_login_sql(struct tx *tx, struct str login);
/* The user's language; Chinese when there is no such user. */
enum lang user_lang_sql(struct tx *tx, int64_t user);
/* Active users with that role; returns how many. */
int role_users_sql(struct tx *tx, struct str role, int64_t *out_users, int max);
/* Organisation, grid, subject and starter of a case; false when it is not there. */
bool case_scope_sql(struct tx *tx, int64_t id, struct scope_row *out);
/* Writes the pinned versions into the common row. */
MUST_CHECK enum err_code case_pins_sql(struct tx *tx, int64_t id, struct err *err);
