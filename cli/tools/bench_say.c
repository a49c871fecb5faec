/* What graft bench says: the machine, then a line for each row. */
#include "cli/tools/bench.h"
#include <string.h>

void bench_say_machine(Report *r)
{
    cJSON *m = cJSON_AddObjectToObject(r->out, "machine");
    cJSON_AddNumberToObject(m, "threads", r->peaks.threads);
    cJSON_AddNumberToObject(m, "fma_gflops", r->peaks.fma);
    cJSON_AddNumberToObject(m, "dot_gflops", r->peaks.dot);
    cJSON_AddNumberToObject(m, "amx_gflops", r->peaks.amx);
    cJSON_AddNumberToObject(m, "int_gflops", r->peaks.codes);
    cJSON_AddNumberToObject(m, "read_gbps", r->peaks.read);
    r->rows = cJSON_AddArrayToObject(r->out, "rows");
    if (r->common->json)
        return;
    printf("peaks of %d threads: f32 FMA %.0f GF/s, bf16 dot products %.0f "
           "GF/s, AMX %.0f GF/s, integers %.0f GF/s, read %.1f GB/s\n",
           r->peaks.threads, r->peaks.fma, r->peaks.dot, r->peaks.amx,
           r->peaks.codes, r->peaks.read);
    printf("%-18s %6s %10s %9s %9s %9s %9s%s\n", "what", "tokens", "ms",
           "GF/s", "GB/s", "of peak", "of roof",
           r->peers ? "   peer                          ms      ratio" : "");
}

static void say_peer(const Report *r, const Row *row, cJSON *o)
{
    const Peer *p = row->peer->peer;
    const char *way = p->way[row->peer->way];
    double ratio = row->peer->median / row->seconds;
    cJSON_AddStringToObject(o, "peer", p->name);
    cJSON_AddNumberToObject(o, "peer_ms", 1e3 * row->peer->median);
    cJSON_AddNumberToObject(o, "ratio", ratio);
    cJSON_AddStringToObject(o, "peer_way", way);
    cJSON_AddStringToObject(o, "peer_version", p->version);
    if (!r->common->json)
        printf("   %-12s %-11s %8.3f %8.2fx", p->name, way,
               1e3 * row->peer->median, ratio);
}

cJSON *bench_say_row(Report *r, const Row *row)
{
    const ProgramWork *w = &row->work;
    double s = row->seconds, peak = peaks_seconds(&r->peaks, w);
    double stream = w->bytes / (1e9 * r->peaks.read);
    double roof = peak > stream ? peak : stream;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(r->rows, o);
    cJSON_AddStringToObject(o, "what", row->what);
    cJSON_AddNumberToObject(o, "tokens", (double)row->tokens);
    cJSON_AddNumberToObject(o, "ms", 1e3 * s);
    cJSON_AddNumberToObject(o, "gflops", 1e-9 * w->flops / s);
    cJSON_AddNumberToObject(o, "gbps", 1e-9 * w->bytes / s);
    cJSON_AddNumberToObject(o, "peak_share", peak / s);
    cJSON_AddNumberToObject(o, "roof_share", roof / s);
    if (!r->common->json)
        printf("%-18s %6lld %10.3f %9.0f %9.1f %8.0f%% %8.0f%%", row->what,
               (long long)row->tokens, 1e3 * s, 1e-9 * w->flops / s,
               1e-9 * w->bytes / s, 100 * peak / s, 100 * roof / s);
    if (row->peer)
        say_peer(r, row, o);
    if (row->uniform > 0) {
        cJSON_AddNumberToObject(o, "of_uniform", s / row->uniform);
        if (!r->common->json)
            printf("   %.2f of uniform", s / row->uniform);
    }
    if (!r->common->json)
        putchar('\n');
    fflush(stdout);
    return o;
}

bool bench_say_kernels(Report *r, BenchRun *run, cJSON *row, Err *err)
{
    enum { RUNS = 5 };
    int n;
    program_times(run->s->p, true, &n);
    for (int i = 0; i < RUNS; i++)
        if (bench_run(run, err) < 0)
            return false;
    const KernelTime *t = program_times(run->s->p, false, &n);
    cJSON *list = cJSON_AddArrayToObject(row, "kernels");
    for (int i = 0; i < n; i++) {
        double ms = 1e3 * t[i].seconds / RUNS;
        cJSON *k = cJSON_CreateObject();
        cJSON_AddStringToObject(k, "kernel", t[i].kernel);
        cJSON_AddNumberToObject(k, "ms", ms);
        cJSON_AddItemToArray(list, k);
        if (!r->common->json)
            printf("    %9.3f ms  %s\n", ms, t[i].kernel);
    }
    return true;
}
