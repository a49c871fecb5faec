/* The grammar: plain LALR(1), no conflicts. Actions only build the tree. What
 * layout.c promises: a statement ends with NL, `}` closes a statement and a
 * block ends with NL before `}`. After an error explain.c moves the parser to
 * the block of the statement at hand, else to the statement's end. */
%define api.pure full
%define api.prefix {dsl_yy}
%define api.location.type {Loc}
%define parse.error custom
%define parse.lac full
%define lr.default-reduction consistent
%locations
%expect 0
%param {Parse *p}

%code requires {
#include "dsl/syntax.h"
}
%code {
/* A rule spans its first to its last part; an empty one has no length. */
#define YYLLOC_DEFAULT(cur, rhs, n) \
    ((cur).at = (n) ? YYRHSLOC(rhs, 1).at : end_of(YYRHSLOC(rhs, 0)), \
     (cur).len = end_of(YYRHSLOC(rhs, n)) - (cur).at)
#define LEAF(kind, loc, name) dsl_node(p, AST_##kind, loc, name, NULL, 0)
#define NODE(kind, loc, name, ...) \
    dsl_node(p, AST_##kind, loc, name, (Ast *[]){__VA_ARGS__}, \
             COUNT(((Ast *[]){__VA_ARGS__})))
#define ADD(list, item) (dsl_node_add(p, list, item), list)
#define WITH(node, list) dsl_node_join(p, node, list)

static int end_of(Loc l)
{
    return l.at + l.len;
}

static Ast *binary(Parse *p, Loc loc, const Token *op, Ast *a, Ast *b)
{
    return NODE(binary, loc, op, a, b);
}

/* `f(...)` speaks of f, `x[...]` of x. */
static Ast *after_base(Parse *p, AstKind kind, Loc loc, Ast *base, Ast *items)
{
    Ast *n = dsl_node(p, kind, loc, NULL, &base, 1);
    n->name_loc = base->name_loc;
    return dsl_node_join(p, n, items);
}

static Ast *name_of(Parse *p, const Token *t)
{
    return LEAF(name, t->loc, t);
}

/* In a transform `x = e` is a local value, `a.w = e` sets a weight. */
static Ast *set_or_bind(Parse *p, Loc loc, Ast *left, Ast *right)
{
    if (left->kind != AST_name || right->kind == AST_block)
        return NODE(bind, loc, NULL, left, right);
    Ast *targets = NODE(targets, left->loc, NULL, left);
    return NODE(assign, loc, NULL, targets, right);
}

/* a.b.c as one name */
static Ast *dotted(Parse *p, Loc loc, Ast *before, const Token *t)
{
    Token all = {.kind = NAME, .loc = loc};
    all.text = intern_printf("%s.%s", before->text, t->text);
    return LEAF(field, loc, &all);
}

static int dsl_yylex(DSL_YYSTYPE *value, Loc *loc, Parse *p);
static void dsl_yyerror(const Loc *loc, Parse *p, const char *what);
}
%union {
    const Token *tok;
    Ast *ast;
}
%token NL "the end of the line"
%token <tok> NAME "a name" NUMBER "a number" STRING "a string" DOTS ".."
%token <tok> USE "use" MODULE "module" MODEL "model" TRANSFORM "transform"
  RECIPE "recipe" PROVE "prove" RULE "rule" SCHEDULE "schedule"
  WEIGHT "weight" INPUT "input" FORWARD "forward" CONFIG "config"
  MATCH "match" REQUIRE "require" LEARN "learn" REPLACE "replace"
  PRESERVES "preserves" EACH "each" RETURN "return" LOSS "loss" STAT "stat"
  FOR "for" TRAIN "train" OBSERVE "observe" SAVE "save" IN "in" AS "as"
  ELSE "else" UNLESS "unless" WITH "with" WHERE "where" WHEN "when" ON "on"
  TO "to" AND "and" OR "or" NOT "not" AFTER "after" STEP "step"
  ROWS "rows" TRANSPOSED "transposed"
%token <tok> ARROW "->" BECOMES "=>" EQUAL "==" UNEQUAL "!=" AT_MOST "<="
  AT_LEAST ">="
%token <tok> '<' '>' '+' '-' '*' '/' '%' '@' '^' '?' '(' '[' '{'

%right '?' ':'
%left OR
%left AND
%precedence NOT
%nonassoc EQUAL UNEQUAL '<' '>' AT_MOST AT_LEAST
%left '+' '-'
%left '*' '/' '%' '@'
%precedence NEGATIVE
%right '^'

%type <ast> top params paramlist param
%type <ast> module_items module_item model_items model_item config strings
%type <ast> weights weight dims dimlist dim opt_as opt_unless part count
%type <ast> opt_renames renames renameline rename forward fargs farg type
%type <ast> index_of fields field dotted alternatives require
%type <ast> block stmts stmt targets
%type <ast> transform_items transform_item several patterns opt_in opt_where
%type <ast> learns learn replace_items replace_item value
%type <ast> recipe_items recipe_item paths opt_options options optionline
%type <ast> option values optvalue pins pin types shape
%type <ast> file_name opt_turned opt_rows weights_of pattern
%type <ast> call args arglist arg range expr post call_post primary exprlist
%%
file: %empty            { p->file = LEAF(file, @$, NULL); }
  | file top NL         { dsl_node_add(p, p->file, $2); }
  | file error NL       { yyerrok; }
  ;
top: USE NAME                                  { $$ = LEAF(use, @$, $2); }
  | MODULE NAME params '{' module_items '}'
      { $$ = WITH(NODE(module, @$, $2, $3), $5); }
  | MODULE error '{' module_items '}'          { $$ = NULL; yyerrok; }
  | MODULE error                               { $$ = NULL; yyerrok; }
  | MODEL NAME '{' model_items '}'
      { $$ = WITH(LEAF(model, @$, $2), $4); }
  | MODEL error '{' model_items '}'            { $$ = NULL; yyerrok; }
  | MODEL error                                { $$ = NULL; yyerrok; }
  | TRANSFORM NAME params '{' transform_items '}'
      { $$ = WITH(NODE(transform, @$, $2, $3), $5); }
  | TRANSFORM error '{' transform_items '}'    { $$ = NULL; yyerrok; }
  | TRANSFORM error                            { $$ = NULL; yyerrok; }
  | RECIPE NAME params '{' recipe_items '}'
      { $$ = WITH(NODE(recipe, @$, $2, $3), $5); }
  | RECIPE error '{' recipe_items '}'          { $$ = NULL; yyerrok; }
  | RECIPE error                               { $$ = NULL; yyerrok; }
  | PROVE expr FOR NAME ':' NAME
      { $$ = NODE(prove, @$, $4, $2, name_of(p, $6)); }
  | RULE NAME ':' expr BECOMES expr opt_where
      { $$ = NODE(rule, @$, $2, $4, $6, $7); }
  | RULE NAME ':' expr BECOMES expr opt_where AS NAME
      { $$ = NODE(rule, @$, $2, $4, $6, $7, name_of(p, $9)); }
  | SCHEDULE NAME '{' pins '}'
      { $$ = WITH(LEAF(schedule, @$, $2), $4); }
  | SCHEDULE error '{' pins '}'                { $$ = NULL; yyerrok; }
  | SCHEDULE error                             { $$ = NULL; yyerrok; }
  ;
params: '(' ')'         { $$ = LEAF(params, @$, NULL); }
  | '(' paramlist ')'   { $$ = dsl_spanning($2, @$); }
  ;
paramlist: param        { $$ = NODE(params, @$, NULL, $1); }
  | paramlist ',' param { $$ = ADD($1, $3); }
  ;
param: NAME             { $$ = NODE(param, @$, $1, NULL); }
  | NAME '=' expr       { $$ = NODE(param, @$, $1, $3); }
  | NAME ':' MODEL      { $$ = NODE(param_model, @$, $1, NULL); }
  | NAME ':' MODULE              { $$ = NODE(param_module, @$, $1, NULL); }
  | NAME ':' MODULE '=' NAME
      { $$ = NODE(param_module, @$, $1, name_of(p, $5)); }
  | NAME ':' MODEL '[' NAME ']'
      { $$ = NODE(param_model, @$, $1, name_of(p, $5)); }
  ;

/* ---- modules and models ---- */
module_items: %empty             { $$ = LEAF(block, @$, NULL); }
  | module_items module_item NL  { $$ = ADD($1, $2); }
  | module_items error NL        { $$ = $1; yyerrok; }
  ;
model_items: %empty              { $$ = LEAF(block, @$, NULL); }
  | model_items model_item NL    { $$ = ADD($1, $2); }
  | model_items error NL         { $$ = $1; yyerrok; }
  ;
model_item: module_item | config ;
module_item: WEIGHT weights      { $$ = dsl_spanning($2, @$); }
  | INPUT NAME dims              { $$ = NODE(input, @$, $2, $3, NULL); }
  | INPUT NAME dims ':' NAME
      { $$ = NODE(input, @$, $2, $3, name_of(p, $5)); }
  | part
  | forward
  ;
weights: weight                  { $$ = NODE(weights, @$, NULL, $1); }
  | weights ',' weight           { $$ = ADD($1, $3); }
  ;
weight: NAME dims opt_as opt_unless
      { $$ = NODE(weight, @$, $1, $2, $3, $4); }
  ;
opt_as: %empty                   { $$ = NULL; }
  | AS file_name                 { $$ = $2; }
  ;
file_name: STRING opt_turned opt_rows
      { $$ = NODE(string, @$, $1, $3, $2); }
  ;
opt_turned: %empty { $$ = NULL; } | TRANSPOSED { $$ = name_of(p, $1); } ;
opt_rows: %empty                 { $$ = NULL; }
  | ROWS expr DOTS expr          { $$ = NODE(range, @$, NULL, $2, $4, NULL); }
  | ROWS expr DOTS expr STEP expr
      { $$ = NODE(range, @$, NULL, $2, $4, $6); }
  ;
opt_unless: %empty { $$ = NULL; } | UNLESS expr { $$ = $2; } ;
dims: '[' ']'                    { $$ = LEAF(dims, @$, NULL); }
  | '[' dimlist ']'              { $$ = dsl_spanning($2, @$); }
  ;
dimlist: dim                     { $$ = NODE(dims, @$, NULL, $1); }
  | dimlist ',' dim              { $$ = ADD($1, $3); }
  ;
dim: NAME                        { $$ = name_of(p, $1); }
  | DOTS                         { $$ = LEAF(dots, @$, $1); }
  ;
part: NAME count ':' call opt_as opt_unless opt_renames
      { $$ = NODE(part, @$, $1, $2, $4, $5, $7, $6); }
  ;
count: %empty                    { $$ = NULL; }
  | '[' expr ']'                 { $$ = $2; }
  | '[' NAME IN expr ']'
      { $$ = NODE(named, ((Loc){@2.at, end_of(@4) - @2.at}), $2, $4); }
  ;
opt_renames: %empty              { $$ = NULL; }
  | '{' renames '}'              { $$ = dsl_spanning($2, @$); }
  ;
renames: %empty                  { $$ = LEAF(renames, @$, NULL); }
  | renames renameline NL        { $$ = WITH($1, $2); }
  | renames error NL             { $$ = $1; yyerrok; }
  ;
renameline: rename               { $$ = NODE(renames, @$, NULL, $1); }
  | renameline ',' rename        { $$ = ADD($1, $3); }
  ;
rename: NAME AS file_name        { $$ = NODE(rename, @$, $1, $3); }
  ;
forward: FORWARD '(' fargs ')' ARROW type block
      { $$ = NODE(forward, @$, $1, $3, $6, $7); }
  | FORWARD error block          { $$ = NULL; yyerrok; }
  | FORWARD error                { $$ = NULL; yyerrok; }
  ;
fargs: farg                      { $$ = NODE(fargs, @$, NULL, $1); }
  | fargs ',' farg               { $$ = ADD($1, $3); }
  ;
farg: NAME dims index_of
      { $$ = NODE(farg, @$, $1, NODE(type, @2, NULL, $2), $3); }
  | NAME ':' NAME dims
      { $$ = NODE(farg, @$, $1,
                  NODE(type, ((Loc){@3.at, end_of(@4) - @3.at}), $3, $4),
                  NULL); }
  ;
index_of: %empty                 { $$ = NULL; }
  | ':' NAME                     { $$ = name_of(p, $2); }
  ;
type: dims                       { $$ = NODE(type, @$, NULL, $1); }
  | NAME dims                    { $$ = NODE(type, @$, $1, $2); }
  ;
config: CONFIG strings '{' fields '}'
      { $$ = WITH(NODE(config, @$, $1, $2), $4); }
  | CONFIG error '{' fields '}'  { $$ = NULL; yyerrok; }
  | CONFIG error                 { $$ = NULL; yyerrok; }
  ;
strings: STRING      { $$ = NODE(strings, @$, NULL, LEAF(string, @1, $1)); }
  | strings ',' STRING           { $$ = ADD($1, LEAF(string, @3, $3)); }
  ;
fields: %empty                   { $$ = LEAF(block, @$, NULL); }
  | fields field NL              { $$ = ADD($1, $2); }
  | fields require NL            { $$ = ADD($1, $2); }
  | fields error NL              { $$ = $1; yyerrok; }
  ;
field: dotted '=' alternatives   { $$ = WITH($1, $3); $$->loc = @$; }
  ;
dotted: NAME                     { $$ = LEAF(field, @$, $1); }
  | dotted '.' NAME              { $$ = dotted(p, @$, $1, $3); }
  ;
alternatives: expr               { $$ = NODE(block, @$, NULL, $1); }
  | alternatives ELSE expr       { $$ = ADD($1, $3); }
  ;
require: REQUIRE expr            { $$ = NODE(require, @$, $1, $2, NULL); }
  | REQUIRE expr ',' STRING
      { $$ = NODE(require, @$, $1, $2, LEAF(string, @4, $4)); }
  ;

/* ---- statements of a forward, a formula ---- */
block: '{' stmts '}'             { $$ = dsl_spanning($2, @$); }
  ;
stmts: %empty                    { $$ = LEAF(block, @$, NULL); }
  | stmts stmt NL                { $$ = ADD($1, $2); }
  | stmts error NL               { $$ = $1; yyerrok; }
  ;
stmt: targets '=' expr           { $$ = NODE(assign, @$, NULL, $1, $3); }
  | LOSS NAME '=' expr           { $$ = NODE(loss, @$, $2, $4); }
  | STAT NAME '=' expr           { $$ = NODE(stat, @$, $2, $4); }
  | RETURN expr                  { $$ = NODE(return, @$, $1, $2); }
  | FOR NAME IN expr block       { $$ = NODE(for, @$, $2, $4, $5); }
  | FOR error block              { $$ = NULL; yyerrok; }
  | FOR error                    { $$ = NULL; yyerrok; }
  ;
targets: NAME           { $$ = NODE(targets, @$, NULL, name_of(p, $1)); }
  | targets ',' NAME    { $$ = ADD($1, name_of(p, $3)); }
  ;

/* ---- transforms ---- */
transform_items: %empty                   { $$ = LEAF(block, @$, NULL); }
  | transform_items transform_item NL     { $$ = ADD($1, $2); }
  | transform_items error NL              { $$ = $1; yyerrok; }
  ;
transform_item: MATCH NAME ':' patterns opt_in opt_where
      { $$ = NODE(match, @$, $2, $4, $5, $6); }
  | require
  | LEARN learns                 { $$ = dsl_spanning($2, @$); }
  | REPLACE WITH call opt_as '{' replace_items '}'
      { $$ = WITH(NODE(replace, @$, $1, $3, $4), $6); }
  | REPLACE error '{' replace_items '}'   { $$ = NULL; yyerrok; }
  | REPLACE error                         { $$ = NULL; yyerrok; }
  | CONFIG '{' fields '}'
      { $$ = WITH(NODE(config, @$, $1, NULL), $3); }
  | CONFIG error '{' fields '}'           { $$ = NULL; yyerrok; }
  | CONFIG error                          { $$ = NULL; yyerrok; }
  | PRESERVES                    { $$ = NODE(preserves, @$, $1, NULL); }
  | PRESERVES WHEN expr          { $$ = NODE(preserves, @$, $1, $3); }
  | EACH weights_of '=' value    { $$ = NODE(each, @$, $1, $2, $4); }
  | post '=' value               { $$ = set_or_bind(p, @$, $1, $3); }
  | several '=' expr             { $$ = NODE(assign, @$, NULL, $1, $3); }
  ;
several: NAME ',' NAME
      { $$ = NODE(targets, @$, NULL, name_of(p, $1), name_of(p, $3)); }
  | several ',' NAME             { $$ = ADD($1, name_of(p, $3)); }
  ;
patterns: pattern                { $$ = NODE(patterns, @$, NULL, $1); }
  | patterns OR pattern          { $$ = ADD($1, $3); }
  ;
pattern: call
  | MODULE args
      { $$ = after_base(p, AST_call, @$, dsl_any_module(p, $1), $2); }
  ;
opt_in: %empty                   { $$ = NULL; }
  | IN expr                      { $$ = $2; }
  ;
opt_where: %empty                { $$ = NULL; }
  | WHERE expr                   { $$ = $2; }
  ;
learns: learn                    { $$ = NODE(learn, @$, NULL, $1); }
  | learns ',' learn             { $$ = ADD($1, $3); }
  ;
learn: NAME dims '=' expr        { $$ = NODE(ldecl, @$, $1, $2, $4); }
  ;
replace_items: %empty                     { $$ = LEAF(block, @$, NULL); }
  | replace_items replace_item NL         { $$ = ADD($1, $2); }
  | replace_items error NL                { $$ = $1; yyerrok; }
  ;
replace_item: post '=' value     { $$ = NODE(bind, @$, NULL, $1, $3); }
  | EACH weights_of '=' value    { $$ = NODE(each, @$, $1, $2, $4); }
  ;
weights_of: post | DOTS NAME { $$ = NODE(dot, @$, $2, LEAF(dots, @1, $1)); } ;
value: expr | block ;

/* ---- recipes ---- */
recipe_items: %empty                      { $$ = LEAF(block, @$, NULL); }
  | recipe_items recipe_item NL           { $$ = ADD($1, $2); }
  | recipe_items error NL                 { $$ = $1; yyerrok; }
  ;
recipe_item: targets '=' expr    { $$ = NODE(assign, @$, NULL, $1, $3); }
  | TRAIN paths ON expr opt_options
      { $$ = WITH(NODE(train, @$, $1, $2, $4), $5); }
  | TRAIN error '{' options '}'           { $$ = NULL; yyerrok; }
  | TRAIN error                           { $$ = NULL; yyerrok; }
  | OBSERVE expr ON expr         { $$ = NODE(observe, @$, $1, $2, $4); }
  | SAVE expr TO expr            { $$ = NODE(save, @$, $1, $2, $4); }
  | FOR NAME IN expr '{' recipe_items '}'
      { dsl_spanning($6, (Loc){@5.at, end_of(@7) - @5.at});
        $$ = NODE(for, @$, $2, $4, $6); }
  | FOR error '{' recipe_items '}'        { $$ = NULL; yyerrok; }
  | FOR error                             { $$ = NULL; yyerrok; }
  | call_post                    { $$ = NODE(eval, @$, NULL, $1); }
  ;
paths: post                      { $$ = NODE(paths, @$, NULL, $1); }
  | paths ',' post               { $$ = ADD($1, $3); }
  ;
opt_options: %empty              { $$ = LEAF(block, @$, NULL); }
  | '{' options '}'              { $$ = $2; }
  ;
options: %empty                  { $$ = LEAF(block, @$, NULL); }
  | options optionline NL        { $$ = WITH($1, $2); }
  | options error NL             { $$ = $1; yyerrok; }
  ;
optionline: option               { $$ = NODE(block, @$, NULL, $1); }
  | optionline ',' option        { $$ = ADD($1, $3); }
  ;
option: NAME values
      { $$ = WITH(LEAF(option, @$, $1), $2); }
  | AFTER STEP call              { $$ = NODE(after, @$, NULL, $3); }
  ;
values: optvalue                 { $$ = NODE(block, @$, NULL, $1); }
  | values optvalue              { $$ = ADD($1, $2); }
  ;
optvalue: NUMBER                 { $$ = LEAF(number, @$, $1); }
  | '-' NUMBER { $$ = NODE(neg, @$, NULL, LEAF(number, @2, $2)); }
  | STRING                       { $$ = LEAF(string, @$, $1); }
  | NAME                         { $$ = name_of(p, $1); }
  | call
  ;

/* ---- schedules ---- */
pins: %empty                     { $$ = LEAF(block, @$, NULL); }
  | pins pin NL                  { $$ = ADD($1, $2); }
  | pins error NL                { $$ = $1; yyerrok; }
  ;
pin: NAME types '[' shape ']' '{' options '}'
      { dsl_spanning($4, (Loc){@3.at, end_of(@5) - @3.at});
        $$ = WITH(NODE(pin, @$, $1, $2, $4), $7); }
  ;
types: %empty                    { $$ = LEAF(block, @$, NULL); }
  | types NAME                   { $$ = ADD($1, name_of(p, $2)); }
  ;
shape: expr                      { $$ = NODE(shape, @$, NULL, $1); }
  | expr ARROW exprlist
      { $$ = WITH(NODE(shape, @$, NULL, $1), $3); }
  ;

/* ---- expressions ---- */
call: NAME args
      { $$ = after_base(p, AST_call, @$, name_of(p, $1), $2); }
  ;
args: '(' ')'                    { $$ = LEAF(list, @$, NULL); }
  | '(' arglist ')'              { $$ = $2; }
  ;
arglist: arg                     { $$ = NODE(list, @$, NULL, $1); }
  | arglist ',' arg              { $$ = ADD($1, $3); }
  ;
arg: expr
  | NAME ':' expr                { $$ = NODE(named, @$, $1, $3); }
  | NAME ':' range               { $$ = NODE(named, @$, $1, $3); }
  | DOTS                         { $$ = LEAF(dots, @$, $1); }
  ;
range: expr DOTS expr            { $$ = NODE(range, @$, NULL, $1, $3, NULL); }
  | expr DOTS                    { $$ = NODE(range, @$, NULL, $1, NULL, NULL); }
  | DOTS expr                    { $$ = NODE(range, @$, NULL, NULL, $2, NULL); }
  ;
expr: post
  | '-' expr %prec NEGATIVE      { $$ = NODE(neg, @$, NULL, $2); }
  | NOT expr                     { $$ = NODE(not, @$, NULL, $2); }
  | expr '+' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '-' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '*' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '/' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '%' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '@' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '^' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr EQUAL expr              { $$ = binary(p, @$, $2, $1, $3); }
  | expr UNEQUAL expr            { $$ = binary(p, @$, $2, $1, $3); }
  | expr '<' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr '>' expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr AT_MOST expr            { $$ = binary(p, @$, $2, $1, $3); }
  | expr AT_LEAST expr           { $$ = binary(p, @$, $2, $1, $3); }
  | expr AND expr                { $$ = binary(p, @$, $2, $1, $3); }
  | expr OR expr                 { $$ = binary(p, @$, $2, $1, $3); }
  | expr '?' expr ':' expr       { $$ = NODE(cond, @$, NULL, $1, $3, $5); }
  ;
post: primary
  | call_post
  | post '[' arglist ']'
      { $$ = after_base(p, AST_index, @$, $1, $3); }
  | post '.' NAME                { $$ = NODE(dot, @$, $3, $1); }
  ;
call_post: post args
      { $$ = after_base(p, AST_call, @$, $1, $2); }
  ;
primary: NAME                    { $$ = name_of(p, $1); }
  | NUMBER                       { $$ = LEAF(number, @$, $1); }
  | STRING                       { $$ = LEAF(string, @$, $1); }
  | '(' expr ')'                 { $$ = dsl_in_parens($2, @$); }
  | '[' ']'                      { $$ = LEAF(list, @$, NULL); }
  | '[' exprlist ']'             { $$ = dsl_spanning($2, @$); }
  ;
exprlist: expr                   { $$ = NODE(list, @$, NULL, $1); }
  | exprlist ',' expr            { $$ = ADD($1, $3); }
  ;
%%
static int dsl_yylex(DSL_YYSTYPE *value, Loc *loc, Parse *p)
{
    const Token *t = &p->toks.at[p->next];
    if (p->stop)
        t = &p->toks.at[p->toks.n - 1];
    else if (t->kind)
        p->next++;
    value->tok = t;
    *loc = t->loc;
    return t->kind;
}

static int yyreport_syntax_error(const yypcontext_t *c, Parse *p)
{
    yysymbol_kind_t kind[YYNTOKENS];
    const char *name[YYNTOKENS];
    int n = yypcontext_expected_tokens(c, kind, YYNTOKENS);
    for (int i = 0; i < n; i++)
        name[i] = yysymbol_name(kind[i]);
    if (!p->stop)
        dsl_explain(p, p->next - (yypcontext_token(c) != YYSYMBOL_YYEOF), name,
                n < 0 ? 0 : n);
    return 0;
}

static void dsl_yyerror(const Loc *loc, Parse *p, const char *what)
{
    (void)what;
    dsl_too_deep(p, *loc);
}
