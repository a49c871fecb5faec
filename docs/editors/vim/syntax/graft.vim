" Syntax of .graft files (graft: dataflow graphs of language models).
if exists("b:current_syntax")
  finish
endif

syntax keyword graftDefine use module model transform recipe prove rule
syntax keyword graftDefine schedule
syntax keyword graftWord weight input forward config match require learn
syntax keyword graftWord replace preserves each return loss stat for train
syntax keyword graftWord observe save in as else unless with where when on to
syntax keyword graftOperatorWord and or not
" words only beside each other: after step ...
syntax match graftWord "\<after\ze\s\+step\>"
syntax match graftWord "\(\<after\s\+\)\@<=step\>"
syntax keyword graftBuiltin exp log sqrt rsqrt tanh sigmoid silu gelu gelu_tanh
syntax keyword graftBuiltin relu softplus cdf abs sin cos acos floor ceil stop
syntax keyword graftBuiltin minimum maximum f64 f32 bf16 f16 clamp sum max
syntax keyword graftBuiltin softmax logsumexp mean norm cv2 dot size topk count
syntax keyword graftBuiltin place largest scatter expand concat rename split
syntax keyword graftBuiltin flatten iota position cumsum rank gaussian random
syntax keyword graftBuiltin normal uniform dropout shuffle part attend alibi
syntax keyword graftBuiltin rope has
syntax keyword graftConstant true false none zeros ones training
" after a dot, and before : and =, the words of the language are names
syntax match graftMember "\.\h\w*"
syntax match graftNamed "\<\h\w*\ze\s*\(:\|=[^=]\)"
syntax match graftNumber "\<\d\+\(\.\d\+\)\?\([eE][-+]\?\d\+\)\?\>"
syntax match graftOperator "->\|[-+*/%^@?]\|[<>=!]=\|[<>]\|\.\."
syntax region graftString start=+"+ end=+"+ oneline contains=graftHole
syntax match graftHole "{[^}"]*}" contained
syntax match graftComment "#.*$" contains=graftTodo,@Spell
syntax keyword graftTodo contained NOTE FIXME XXX

highlight default link graftDefine Structure
highlight default link graftWord Keyword
highlight default link graftOperatorWord Operator
highlight default link graftBuiltin Function
highlight default link graftConstant Constant
highlight default link graftNumber Number
highlight default link graftOperator Operator
highlight default link graftString String
highlight default link graftHole Special
highlight default link graftComment Comment
highlight default link graftTodo Todo

let b:current_syntax = "graft"
