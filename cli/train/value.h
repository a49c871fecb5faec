/* Private to the room: values of a recipe's expressions. */
#pragma once
#include "cli/train/plan.h"

typedef enum {
    V_none,
    V_number,
    V_text,
    V_truth,
    V_list,
    V_model,
    V_data,
    V_pair
} Kind;

typedef struct Value Value;
struct Value {
    Kind kind;
    double number; /* also of a truth */
    const char *text;
    const RunModel *model;
    const RunData *data, *held; /* held: of a pair that split gave */
    const Value *list;
    int n;
};

typedef struct {
    RunPlan *p;
    LIST(struct Known {
        const char *name;
        Value value;
    }) known;
    const char *loops; /* ", rate 0.25": the loops' values at hand, or "" */
    Err *err;
    bool failed; /* err says why, and the place was reported */
} Eval;

Value value_of(Eval *e, const Ast *a);
/* The same, which must be of that kind. */
Value value_wanted(Eval *e, const Ast *a, Kind kind, const char *what);
const Value *value_find(const Eval *e, const char *name); /* or NULL */
void value_set(Eval *e, const char *name, Value v);
static inline Value value_number(double v)
{
    return (Value){.kind = V_number, .number = v};
}
double value_real(Eval *e, const Ast *a); /* of one that must be a number */
const RunModel *value_model(Eval *e, const Ast *a); /* .. a model */
/* What a call calls by its name; "" where it is no name. */
const char *value_called(const Ast *call);
/* A transform with the arguments of a call, from the given kid on. */
RunStep value_step(Eval *e, const Ast *def, const Ast *call, int from);
PRINTF(3, 4) Value value_wrong(Eval *e, const Ast *a, const char *fmt, ...);
