/* Skeleton route as CUDA C: one block counts an index's elements by expert,
 * sums the counts up to offsets, and lists each expert's elements in order. */
#include "codegen/cuda/cuda_text.h"

enum { THREADS = 256 };

static void count_experts(Cu *c, const char *i, const char *E)
{
    cu_line(c, "for (int expert = tid; expert <= %s; expert += %d)", E,
            THREADS);
    cu_line(c, "    begin[expert] = 0;");
    cu_line(c, "__syncthreads();");
    cu_line(c, "for (int item = tid; item < count; item += %d)", THREADS);
    cu_line(c, "    atomicAdd(&begin[%s[item] + 1], 1);", i);
    cu_line(c, "__syncthreads();");
    cu_line(c, "for (int expert = 0; tid == 0 && expert < %s; expert++)", E);
    cu_line(c, "    begin[expert + 1] += begin[expert];");
    cu_line(c, "__syncthreads();");
}

/* A warp an expert: the lanes that hit stand in order of their elements. */
static void list_elements(Cu *c, const char *i, const char *E)
{
    cu_open(c, "for (int expert = tid >> 5; expert < %s; expert += %d)", E,
            THREADS / 32);
    cu_line(c, "int at = begin[expert];");
    cu_open(c, "for (int first = 0; first < count; first += 32)");
    cu_line(c, "int item = first + lane;");
    cu_line(c, "int hit = item < count && %s[item] == expert;", i);
    cu_line(c, "u32 hits = __ballot_sync(0xffffffffu, hit);");
    cu_line(c, "if (hit)");
    cu_line(c, "    order[at + __popc(hits & ((1u << lane) - 1))] = item;");
    cu_line(c, "at += __popc(hits);");
    cu_close(c);
    cu_close(c);
}

void cuda_route(Cu *c)
{
    const Kernel *k = c->kernel;
    const Type *t = &k->in[0]->type;
    const Dim *expert = k->out[0]->type.index_of;
    const char *i = cu_arg(c, k->in[0]), *to = cu_arg(c, k->out[0]);
    const char *E = cu_size(c, expert);
    c->to->threads = THREADS;
    c->to->shared = 4 * (int)(size_at(expert->size, 1) + 1);
    cu_grid(c, 0, size_num(1), 1, NULL);
    cu_line(c, "DYN_SMEM(smem);");
    cu_line(c, "int *begin = (int *)smem, *order = %s + %s + 1;", to, E);
    cu_line(c, "int tid = threadIdx.x, lane = tid & 31;");
    cu_line(c, "int count = %s;", cu_count(c, t->rank, t->dim));
    count_experts(c, i, E);
    cu_line(c, "for (int expert = tid; expert <= %s; expert += %d)", E,
            THREADS);
    cu_line(c, "    %s[expert] = begin[expert];", to);
    list_elements(c, i, E);
}
