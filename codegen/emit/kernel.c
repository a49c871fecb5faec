/* The two functions of a kernel: opened and closed. */
#include "codegen/emit/kernel.h"

static void begin(Walk *w, const char *name, Ty result, int n)
{
    Emit *e = w->e;
    Ty p = ty_ptr(e);
    Ty args[] = {p, p, ty(e, TY_i64), p};
    static const char *const words[] = {"arg", "run", "task", "mem"};
    function(e, name, result, n, args);
    Val v[4];
    for (int i = 0; i < n; i++)
        v[i] = param(e, i, words[i]);
    w->arg = v[0];
    w->run = v[1];
}

void kernel_begin(Walk *w, Emit *e, Plan *plan, Kernel *k)
{
    *w = (Walk){.e = e, .plan = plan, .kernel = k};
    begin(w, k->name, LLVMVoidTypeInContext(e->ctx), 4);
}

Val kernel_task(Walk *w)
{
    return LLVMGetParam(w->e->fn, 2);
}

Val kernel_mem(Walk *w)
{
    return LLVMGetParam(w->e->fn, 3);
}

Val walk_choice(Walk *w, const int at[BUCKETS])
{
    Emit *e = w->e;
    int i = BUCKETS - 1;
    while (i && at[i - 1] == at[i])
        i--;
    Val v = i64(e, at[i]);
    while (i--)
        v = pick(e, less_eq(e, walk_run(w, 0), i64(e, bucket_end[i])),
                 i64(e, at[i]), v);
    return v;
}

void kernel_end(Walk *w)
{
    ret(w->e, NULL);
}

void kernel_begin_tasks(Walk *w)
{
    begin(w, intern_printf("%s_tasks", w->kernel->name), ty(w->e, TY_i64), 2);
}
