/* inbox.h - the HTTP side of cases: tasks of people, a case with its clocks and picture, why a deadline is
 * what it is.
 *
 * All under /api/v1; ids are strings, instants RFC 3339; labels in the reader's language.
 *
 * GET core/tasks?mine=1[&state=open|done][&after=CURSOR][&limit=50]   (&count=1: {"count":3,"exact":true})
 *   {"items":[TASK...],"next":CURSOR|null}      mine: assigned to me, or open to me and nobody's yet
 *   TASK {"id","name","node","state":"open|done|cancelled","assignee":{"id","name"}|null,"mine":true,
 *         "claimable":true,"opened_at","due_at"|null,"done_at"|null,"late":false,"left_ms":1234|null,
 *         "case":{"id","type":"ops.ticket","number","title","state","state_label","level","service"}}
 * GET core/tasks/{id}    TASK and what the form needs: "form":["cause",...],"required":["cause"],
 *         "actions":[{"action":"done","label","back_to":NODE|null}],"handover":true,"record":{...}
 * POST core/tasks/{id}/claim {}                        -> CASE
 * POST core/tasks/{id}/release {}                      -> CASE
 * POST core/tasks/{id}/complete {"action":"done","fields":{...},"opinion":"..."}      -> CASE
 * POST core/tasks/{id}/return {"to":NODE|null,"opinion":"..."}  (null: the step before) -> CASE
 * POST core/tasks/{id}/handover {"user":"ID","opinion":"..."}   -> CASE
 * POST core/tasks/{id}/urge {"opinion":"..."}          -> CASE
 *
 * GET core/cases/{id}  CASE
 *   {"id","type","number","title","state","state_label","service","level","opened_at","closed_at"|null,
 *    "prior":CASE ID|null,"version":record version,"paused":false,"tasks":[TASK...],
 *    "clocks":[CLOCK...],"timeline":[EVENT...],"flow":PICTURE,"may":["pause","resume","reopen","cancel","reach"]}
 *   CLOCK
 * {"clock":"respond","label","state":"running|paused|breached|met|late|waived|not_agreed","state_label",
 *          "limit_ms","used_ms","due_at","warn_at","reached_at","workaround","source","source_label",
 *          "calendar","row":ID|null}
 *   EVENT {"id","at","made_at","kind","label","by":{"id","name"}|null,"node","action","text","clocks":[...],
 *          "data":{...}|null,"voided":false}
 *   PICTURE {"name","nodes":[{"id","name","kind","x","y","width","height","state":"done|here|ahead"}],
 *            "edges":[{"id","name","from","to","points":[[x,y],...],"passed":true}]}
 * GET core/cases/{id}/clocks   {"opened_at","now","clocks":[CLOCK + "pieces":[PIECE...]],"rules":[...]}
 *   PIECE {"kind":"run|pause|ended|ahead","from","to","counted_ms","used_ms","limit_ms","calendar",
 *          "working":false,"event":ID,"why":"sentence",
 *          "spans":[{"from","to"}...]  (the working time within the piece, when not every minute counts)}
 * POST core/cases/{id}/pause {"clocks":["restore"]|null,"reason":"..."}   -> CASE
 * POST core/cases/{id}/resume {"clocks":...,"reason"}                       -> CASE
 * POST core/cases/{id}/reach {"clock":"arrive","at":INSTANT|null,"workaround":false,"text"}  -> CASE
 * POST core/cases/{id}/waive {"clock":"arrive","reason"}                    -> CASE
 * POST core/cases/{id}/void {"event":ID,"reason"}                           -> CASE
 * POST core/cases/{id}/note {"text"}                                        -> CASE
 * POST core/cases/{id}/reopen {"reason"}                                    -> CASE
 * POST core/cases/{id}/cancel {"reason"}                                    -> CASE
 * GET core/clocks/due?limit=50[&when=ahead|past]   clocks that break next (ahead), or that broke, the last
 *   one first (past), of cases one may see:
 *   {"items":[{"case":{...},"clock","label","due_at","left_ms","limit_ms","warn_at","share","state"}]}
 *   share: how much of the limit is used, 1 at the deadline, SLA_WARN_PERCENT at warn_at; in between by the
 *   wall clock, which is exact where every minute counts
 * GET core/levels/PACK/TYPE?service=ID   the levels and matters that the service's SLA matrix knows:
 *   {"items":[{"level","meaning","source":"own|general","clocks":[{"clock","label","calendar",
 *   "calendar_label","minutes"}]}]}; empty where nothing is agreed
 *
 * Live events: topic "task" {"case","task"?,"what"} whenever a case moved.
 * Layer: handle/inbox. */
#pragma once
#include "handle/flow/case.h"

struct handle;
struct http_server;
struct request;
struct reply;

/* Adds the routes; `handle` must outlive the server. */
MUST_CHECK enum err_code inbox_routes(struct http_server *server, struct handle *handle, struct err *err);
/* Tells live pages that a case moved; they ask again with their own rights. */
void inbox_live(struct http_server *server, struct str json);
/* A row of the table: levels.c. */
MUST_CHECK enum err_code levels_get(struct request *req, struct reply *reply, struct err *err);
