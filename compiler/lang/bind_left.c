/* Left sides of a transform: the part or weight that gets a value. */
#include "compiler/lang/elab.h"
#include <string.h>

static void no_part(const Ast *e, const Inst *inst, const char *text)
{
    const char *near = inst_nearest(inst, text);
    error_at(e->src, e->name_loc, "`%s` has no weight or part `%s`%s",
             inst->def->text, text, near_text(near));
    Slot *slot = near ? inst_slot(inst, near) : NULL;
    if (slot)
        slot->excused = true;
    Part *part = near ? inst_part(inst, near) : NULL;
    if (part)
        excuse(part->inst[0]);
}

static bool left_member(Inst *inst, const Ast *e, Left *out)
{
    Part *part = inst_part(inst, e->text);
    out->slot = inst_slot(inst, e->text);
    out->inst = part ? part->inst[0] : NULL;
    if (part || out->slot)
        return true;
    if (!names_find(&inst->spoilt, e->text))
        no_part(e, inst, e->text);
    return false;
}

static void excuse_one(Inst *inst, void *unused)
{
    (void)unused;
    for (int i = 0; i < inst->slot.n; i++)
        inst->slot.at[i].excused = true;
}

void excuse(Inst *inst)
{
    inst_walk(inst, excuse_one, NULL);
}

bool resolve_left(Scope *s, Inst *fresh, const Ast *e, Left *out)
{
    out->fresh = fresh != NULL;
    if (e->kind == AST_name) {
        Val *v = fresh ? NULL : names_find(&s->local, e->text);
        if (v && v->kind == V_inst) {
            out->inst = v->inst;
            return true;
        }
        if (fresh)
            return left_member(fresh, e, out);
        error_at(e->src, e->loc, "`%s` is not what was matched", e->text);
        return false;
    }
    if (e->kind == AST_dot) {
        if (!resolve_left(s, fresh, e->kid[0], out))
            return false;
        if (out->inst)
            return left_member(out->inst, e, out);
        error_at(e->src, e->loc, "a weight has no parts");
        return false;
    }
    if (e->kind != AST_index || !resolve_left(s, fresh, e->kid[0], out)) {
        if (e->kind != AST_index)
            error_at(e->src, e->loc, "a weight or a part stands on the left");
        return false;
    }
    if (out->slot) {
        out->dims = e;
        return true;
    }
    if (e->nkid != 2 || e->kid[1]->kind != AST_name || !out->inst->nstack) {
        error_at(e->src, e->loc,
                 "each element gets its value at once: an array takes one new "
                 "name, as expert[e]");
        excuse(out->inst);
        return false;
    }
    out->index = out->inst->stack[out->inst->nstack - 1];
    out->name = e->kid[1]->text;
    return true;
}
