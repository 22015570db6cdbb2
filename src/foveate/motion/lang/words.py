"""Closed word lists of the offline designer: what a word can be, apart from the actions.

The one thing to know: this file and `lexicon.txt` are all the English there is. Another language is
another pair of them.
"""

from __future__ import annotations

NUMBERS: dict[str, float] = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20,
    "thirty": 30, "forty": 40, "forty-five": 45, "fifty": 50, "sixty": 60, "ninety": 90,
    "hundred": 100, "couple": 2, "pair": 2, "few": 3, "several": 3, "many": 5, "dozen": 12,
    "half": 0.5, "quarter": 0.25,
}  # fmt: skip
"""Words that stand for a number."""

TIMES = {"once": 1, "twice": 2, "thrice": 3, "repeatedly": 4, "again": 2}
"""Adverbs that stand for a count."""

UNITS: dict[str, tuple[str, float]] = {
    "degree": ("deg", 1), "deg": ("deg", 1), "°": ("deg", 1),
    "metre": ("m", 1), "meter": ("m", 1), "m": ("m", 1), "cm": ("m", 0.01),
    "centimetre": ("m", 0.01), "centimeter": ("m", 0.01), "foot": ("m", 0.305), "ft": ("m", 0.305),
    "feet": ("m", 0.305), "yard": ("m", 0.914), "inch": ("m", 0.0254), "inche": ("m", 0.0254),
    "second": ("s", 1), "sec": ("s", 1), "s": ("s", 1), "minute": ("s", 60), "moment": ("s", 1.5),
    "while": ("s", 3), "instant": ("s", 0.3),
    "time": ("times", 1), "x": ("times", 1), "rep": ("times", 1), "repetition": ("times", 1),
    "round": ("times", 1), "set": ("times", 1),
    "step": ("steps", 1), "pace": ("steps", 1), "stride": ("steps", 1), "stair": ("steps", 1),
    "lap": ("turns", 1), "revolution": ("turns", 1), "turn": ("turns", 1), "circle": ("turns", 1),
}  # fmt: skip
"""Unit word → (kind, factor). `turn` and `circle` count only after a number."""

PARTS: dict[str, str] = {
    "arm": "arm", "upper-arm": "arm", "forearm": "elbow", "elbow": "elbow", "hand": "hand",
    "palm": "hand", "fist": "hand", "finger": "hand", "thumb": "hand", "wrist": "wrist",
    "shoulder": "shoulder", "leg": "leg", "thigh": "leg", "shin": "leg", "knee": "knee",
    "foot": "foot", "ankle": "foot", "heel": "heel", "toe": "toe", "tiptoe": "toe",
    "head": "head", "chin": "chin", "neck": "head", "face": "face", "eye": "face", "nose": "nose",
    "mouth": "mouth", "lip": "mouth", "ear": "ear", "forehead": "forehead", "cheek": "face",
    "hair": "head_top", "brow": "forehead", "temple": "ear",
    "torso": "torso", "trunk": "torso", "body": "torso", "chest": "chest", "waist": "waist",
    "spine": "torso", "stomach": "stomach", "belly": "stomach", "tummy": "stomach",
    "abdomen": "stomach", "heart": "chest", "hip": "hip", "pelvis": "pelvis", "butt": "pelvis",
    "bottom": "pelvis", "lower-back": "back", "upper-body": "torso", "back": "back", "limb": "arm",
    "side": "side",
}  # fmt: skip
"""Noun → the part or landmark it names."""

CLASSES: dict[str, set[str]] = {
    "arm": {"arm", "hand", "elbow", "wrist"},
    "leg": {"leg", "knee", "foot", "heel", "toe"},
    "head": {"head", "chin", "face"},
    "torso": {"torso", "chest", "waist", "back", "hip", "pelvis", "stomach"},
}
"""Part class of the lexicon's patterns → parts it admits. `$part` admits all of them."""

OBJECTS: dict[str, str] = {
    **dict.fromkeys(
        ["chair", "stool", "sofa", "couch", "bench", "armchair", "seat", "sitting-chair", "throne"],
        "seat",
    ),
    **dict.fromkeys(["bed", "mattress", "mat", "hammock"], "bed"),
    **dict.fromkeys(
        [
            "water",
            "coffee",
            "tea",
            "beer",
            "wine",
            "juice",
            "milk",
            "cocktail",
            "soda",
            "drink",
            "glass",
            "cup",
            "mug",
            "bottle",
            "can",
        ],
        "drink",
    ),
    **dict.fromkeys(
        [
            "food",
            "apple",
            "sandwich",
            "soup",
            "meal",
            "dinner",
            "lunch",
            "breakfast",
            "cake",
            "burger",
            "pizza",
            "banana",
            "bread",
            "rice",
            "snack",
            "cookie",
            "fruit",
        ],
        "food",
    ),
    **dict.fromkeys(["phone", "telephone", "smartphone", "mobile", "cellphone", "cell"], "phone"),
    **dict.fromkeys(
        [
            "ball",
            "stone",
            "rock",
            "frisbee",
            "snowball",
            "object",
            "something",
            "stick",
            "grenade",
            "paper",
            "dart",
            "item",
        ],
        "ball",
    ),
    **dict.fromkeys(
        [
            "box",
            "crate",
            "suitcase",
            "bag",
            "package",
            "parcel",
            "basket",
            "bucket",
            "backpack",
            "chest-of-drawers",
            "load",
        ],
        "box",
    ),
    **dict.fromkeys(
        ["dumbbell", "dumbbells", "weight", "weights", "barbell", "kettlebell", "bar"], "weight"
    ),
    **dict.fromkeys(["wheel", "steering-wheel", "car", "vehicle"], "wheel"),
    **dict.fromkeys(
        ["door", "wall", "cart", "trolley", "car-door", "shelf", "table", "desk", "window"], "wall"
    ),
    **dict.fromkeys(["stair", "staircase", "stairs", "stairway", "step", "ladder"], "stair"),
    **dict.fromkeys(["floor", "ground", "earth", "grass", "carpet"], "floor"),
    **dict.fromkeys(["rope"], "rope"),
    **dict.fromkeys(["hurdle", "obstacle", "fence", "puddle", "gap", "log"], "obstacle"),
    **dict.fromkeys(
        ["guitar", "piano", "violin", "drum", "drums", "trumpet", "flute"], "instrument"
    ),
    **dict.fromkeys(["sky", "ceiling", "sun", "star", "moon"], "sky"),
    **dict.fromkeys(["camera", "audience", "viewer", "crowd", "friend"], "front"),
    **dict.fromkeys(["watch", "clock"], "watch"),
    **dict.fromkeys(["stepping-stone"], "stones"),
}
"""Noun → the kind of thing it is. A noun outside is kept as text and reported."""

DIRECTIONS: dict[str, str] = {
    "up": "up",
    "upward": "up",
    "upwards": "up",
    "high": "up",
    "overhead": "overhead",
    "above": "overhead",
    "skyward": "up",
    "down": "down",
    "downward": "down",
    "downwards": "down",
    "forward": "forward",
    "forwards": "forward",
    "ahead": "forward",
    "straight-ahead": "forward",
    "backward": "back",
    "backwards": "back",
    "behind": "back",
    "rearward": "back",
    "back": "back",
    "front": "forward",
    "left": "left",
    "leftward": "left",
    "leftwards": "left",
    "right": "right",
    "rightward": "right",
    "rightwards": "right",
    "sideway": "side",
    "sideways": "side",
    "side": "side",
    "sides": "side",
    "sidewards": "side",
    "laterally": "side",
    "out": "out",
    "outward": "out",
    "outwards": "out",
    "outside": "out",
    "away": "out",
    "in": "in",
    "inward": "in",
    "inwards": "in",
    "together": "in",
    "across": "across",
    "apart": "out",
    "around": "around",
    "round": "around",
    "over": "over",
    "clockwise": "right",
    "counterclockwise": "left",
    "anticlockwise": "left",
    "diagonally": "diagonal",
    "horizontally": "level",
    "horizontal": "level",
    "vertical": "up",
    "vertically": "up",
}
"""Word → direction, seen from the character."""

TEMPO: dict[str, float] = {
    "slow": 0.6, "slowly": 0.6, "leisurely": 0.75, "gradually": 0.6, "gently": 0.75,
    "carefully": 0.65, "cautiously": 0.65, "calmly": 0.8, "softly": 0.8, "lazily": 0.65,
    "casually": 0.9, "smoothly": 0.9, "gracefully": 0.85, "elegantly": 0.85,
    "quick": 1.4, "quickly": 1.4, "fast": 1.4, "rapidly": 1.5, "swiftly": 1.4, "briskly": 1.3,
    "hurriedly": 1.4, "hastily": 1.4, "suddenly": 1.4, "abruptly": 1.4, "energetically": 1.25,
    "vigorously": 1.3, "frantically": 1.5, "wildly": 1.3, "sharply": 1.3, "immediately": 1.2,
    "faster": 1.4, "slower": 0.6, "speed": 1.4, "hurry": 1.4, "violently": 1.3, "forcefully": 1.2,
    "powerfully": 1.15, "strongly": 1.15,
}  # fmt: skip
"""Manner → factor on speed."""

AMOUNT: dict[str, float] = {
    "slightly": 0.5,
    "little": 0.5,
    "bit": 0.5,
    "somewhat": 0.6,
    "barely": 0.3,
    "lightly": 0.6,
    "half": 0.6,
    "halfway": 0.6,
    "partially": 0.6,
    "low": 0.6,
    "small": 0.6,
    "tiny": 0.4,
    "short": 0.7,
    "deep": 1.3,
    "deeply": 1.3,
    "fully": 1.25,
    "completely": 1.25,
    "wide": 1.25,
    "widely": 1.25,
    "high": 1.25,
    "far": 1.25,
    "big": 1.25,
    "large": 1.25,
    "long": 1.2,
    "all-the-way": 1.25,
    "low-down": 1.3,
    "higher": 1.25,
    "huge": 1.35,
    "greatly": 1.3,
    "stiffly": 0.85,
    "hard": 1.15,
    "giant": 1.35,
    "great": 1.2,
}
"""Manner → factor on amplitude."""

STYLES: dict[str, tuple[str, float]] = {
    **dict.fromkeys(
        [
            "happy",
            "happily",
            "cheerful",
            "cheerfully",
            "joyful",
            "joyfully",
            "joyous",
            "merrily",
            "merry",
            "excited",
            "excitedly",
            "glad",
            "gladly",
            "playfully",
            "playful",
            "energetic",
            "bouncy",
            "enthusiastically",
        ],
        ("happy", 1.0),
    ),
    **dict.fromkeys(
        [
            "proud",
            "proudly",
            "confident",
            "confidently",
            "arrogantly",
            "arrogant",
            "haughtily",
            "majestically",
            "royally",
            "boldly",
            "heroically",
            "triumphantly",
        ],
        ("proud", 1.0),
    ),
    **dict.fromkeys(
        [
            "angry",
            "angrily",
            "furious",
            "furiously",
            "aggressively",
            "aggressive",
            "mad",
            "enraged",
            "irritated",
            "fiercely",
        ],
        ("angry", 1.0),
    ),
    **dict.fromkeys(
        ["childlike", "childishly", "childish", "child", "kid", "toddler"], ("childlike", 1.0)
    ),
    **dict.fromkeys(
        [
            "depressed",
            "sad",
            "sadly",
            "gloomily",
            "gloomy",
            "dejected",
            "dejectedly",
            "miserable",
            "miserably",
            "sorrowfully",
            "unhappily",
            "unhappy",
        ],
        ("depressed", 1.0),
    ),
    **dict.fromkeys(
        ["tired", "tiredly", "exhausted", "wearily", "weary", "sleepily", "sleepy", "fatigued"],
        ("depressed", 0.7),
    ),
    **dict.fromkeys(
        ["shyly", "shy", "timidly", "timid", "nervously", "nervous"], ("depressed", 0.5)
    ),
    **dict.fromkeys(
        [
            "drunk",
            "drunkenly",
            "drunken",
            "tipsy",
            "dizzy",
            "dizzily",
            "drunkard",
            "unsteadily",
            "intoxicated",
        ],
        ("drunk", 1.0),
    ),
    **dict.fromkeys(
        ["old", "elderly", "aged", "grandfather", "grandmother", "frail", "feeble"], ("old", 1.0)
    ),
    **dict.fromkeys(
        ["heavy", "heavily", "clumsily", "clumsy", "fat", "giant-like"], ("heavy", 1.0)
    ),
}
"""Manner → (one of the eight styles, strength)."""

LIGHT_VERBS = {
    "do", "make", "take", "perform", "give", "execute", "start", "begin", "try", "continue",
    "keep", "have", "go", "attempt", "proceed", "get", "practice", "practise", "play", "act",
    "pretend", "imitate", "mime", "want", "decide", "use", "can", "be", "slow", "switch", "change",
    "transition", "demonstrate", "show",
}  # fmt: skip
"""Verbs that carry no action of their own when another word in the clause does."""

SUBJECTS = {
    "person", "man", "woman", "someone", "somebody", "figure", "character", "he", "she", "they",
    "it", "human", "people", "guy", "girl", "boy", "lady", "i", "you", "one", "individual",
    "athlete", "player", "dancer", "actor", "avatar", "subject", "stickman", "child", "kid",
    "boxer", "soldier", "worker", "runner", "gymnast",
}  # fmt: skip

FUNCTION_WORDS = {
    "a", "an", "the", "this", "that", "these", "those", "his", "her", "their", "its", "my", "your",
    "himself", "herself", "themselves", "themself", "itself", "them", "him", "who", "which", "is",
    "are", "was", "were", "be", "been", "being", "of", "to", "at", "on", "onto", "in", "into",
    "with", "without", "by", "for", "from", "as", "and", "or", "but", "then", "while", "so", "also",
    "too", "very", "really", "just", "still", "please", "some", "any", "each", "every", "both",
    "one", "other", "another", "own", "same", "will", "would", "should", "must", "there", "here",
    "it", "like", "if", "than", "about", "near", "next", "toward", "towards", "through", "up",
    "down", "out", "off", "over", "once", "after", "before", "until", "when", "first", "second",
    "finally", "lastly", "afterwards", "afterward", "later", "meanwhile", "simultaneously",
    "standing-still", "quite", "more", "most", "all", "way", "time", "s", "let", "us", "now",
    "not", "no", "never", "rather", "again", "only", "even", "almost", "bit", "position", "place",
    "motion", "movement", "action", "gesture", "manner", "pose", "direction", "level", "height",
    "air", "imaginary", "invisible", "between", "against", "along", "upon", "well", "starting",
    "front", "top", "end", "alternate", "alternately", "alternating", "turn", "hello", "goodbye",
    "nearby", "onward", "onwards", "under", "cane", "stick",
}  # fmt: skip
"""Words that never count as content when coverage is reported."""

SMALL_WORDS = FUNCTION_WORDS - {"up", "down", "out", "off", "over", "turn", "hello", "goodbye"}
"""Words a pattern may step over."""

CONTRACTIONS = {
    "doesn't": "does not", "don't": "do not", "isn't": "is not", "won't": "will not",
    "can't": "can not", "he's": "he is", "she's": "she is", "it's": "it is", "let's": "let us",
    "they're": "they are", "i'm": "i am", "you're": "you are", "who's": "who is",
    "someone's": "someone", "person's": "person", "man's": "man", "woman's": "woman",
}  # fmt: skip

COMPOUNDS = {
    r"\bpush[- ]?ups?\b": "pushup",
    r"\bpress[- ]?ups?\b": "pushup",
    r"\bsit-ups?\b": "situp",
    r"\b(do|does|doing|performs?|performing|some|\d+|two|three|five|ten) sit[- ]?ups?\b": (
        r"\1 situp"
    ),
    r"\bcrunches\b": "situp",
    r"\bjumping[- ]?jacks?\b": "jumpingjack",
    r"\bstar[- ]jumps?\b": "jumpingjack",
    r"\bt[- ]pose\b": "tpose",
    r"\bside[- ]?steps?\b": "sidestep",
    r"\bside[- ]?stepping\b": "sidestep",
    r"\bback[- ]?flips?\b": "backflip",
    r"\bcart[- ]?wheels?\b": "cartwheel",
    r"\bhand[- ]?stands?\b": "handstand",
    r"\bsomersaults?\b": "somersault",
    r"\bwarm(s|ing)?[- ]?ups?\b": "warmup",
    r"\bwarm(s|ing)? up\b": "warmup",
    r"\bhigh[- ]five(s)?\b": "highfive",
    r"\bthumbs?[- ]up\b": "thumbsup",
    r"\bupper[- ]cuts?\b": "uppercut",
    r"\bupper[- ]bod(y|ies)\b": "upper-body",
    r"\blower back\b": "lower-back",
    r"\bsteering[- ]wheel\b": "steering-wheel",
    r"\bstepping[- ]stones?\b": "stepping-stone",
    r"\bshot[- ]?put\b": "shotput",
    r"\blong[- ]jump\b": "longjump",
    r"\bhigh[- ]jump\b": "highjump",
    r"\btip[- ]?toe(s|d|ing)?\b": r"tiptoe\1",
    r"\bcross[- ]?legged\b": "crosslegged",
    r"\bcell[- ]phone\b": "phone",
    r"\bup and down\b": "updown",
    r"\b(side to side|from side to side|left and right|back and forth|to and fro)\b": "sidetoside",
    r"\bin place\b": "inplace",
    r"\bon the spot\b": "inplace",
    r"\bupper arms?\b": "upper-arm",
    r"\ball the way\b": "all-the-way",
    r"\bat the same time\b": "simultaneously",
    r"\bfrom left to right\b": "sidetoside",
    r"\bone by one\b": "",
    r"\bin front of\b": "front",
    r"\bin a circle\b": "incircle",
    r"\bin circles\b": "incircle",
    r"\bin a big circle\b": "incircle",
    r"\bice[- ]skat": "skat",
    r"\bover (the|his|her|their) head\b": "overhead",
    r"\babove (the|his|her|their) heads?\b": "overhead",
    r"\bout of the way\b": "aside",
    r"\bstraight ahead\b": "forward",
    r"\b(half) squats?\b": r"halfway squat",
    r"\bone-legged\b": "on one leg",
    r"\bshoulder[- ](height|level|high)\b": "level",
    r"\bkarate[- ]chop": "chop",
    r"\bhead[- ]?bang\w*\b": "headbang",
    r"\bkick[- ]box\w*\b": "kickbox",
    r"\bfall(s|ing)? asleep\b": "sleep",
    r"\bpick(s|ing|ed)?[- ]up\b": r"pick\1 up",
    r"\bkung[- ]fu\b": "kungfu",
    r"\bjump(s|ing)?[- ]rope\b": "skiprope",
    r"\bskip(s|ping)?[- ]rope\b": "skiprope",
    r"\brope[- ](skipping|jumping)\b": "skiprope",
    r"\bbeing drunk\b": "drunk",
    r"\b(?:kneels?|gets?|goes|going|drops?) on(to)? (one|the|his|her) (left |right )?knees?\b": (
        r"kneels \3"
    ),
    r"\bto (his|her|their|the) feet\b": "up",
    r"\bon (his|her|their) feet\b": "",
    r"\bby (his|her|their|the) sides?\b": "down",
    r"\bat (his|her|their|the) sides?\b": "down",
}
"""Regular expression → what it is read as, before the words are told apart."""

IRREGULAR: dict[str, str] = {
    line.split()[i]: line.split()[0]
    for line in """
    go went gone goes; be was been is are am; do did done does; have had has; sit sat; stand stood
    run ran; swim swam swum; throw threw thrown; take took taken; give gave given; get got gotten
    fall fell fallen; lie lay lain lying lies; rise rose risen; bend bent; kneel knelt; leap leapt
    swing swung; spin spun; shake shook shaken; drink drank drunken; eat ate eaten; hold held
    catch caught; hit hit; put put; cut cut; lead led; bring brought; build built
    creep crept; drive drove driven; ride rode ridden; draw drew drawn; fly flew flown; feel felt
    fight fought; freeze froze frozen; hang hung; hide hid hidden; keep kept; lean leant leaned
    make made; mean meant; ring rang rung; shoot shot; sing sang sung; sink sank sunk; slide slid
    sleep slept; speak spoke spoken; strike struck; sweep swept; tell told; think thought
    turn turned; wake woke woken; weep wept; wear wore worn; win won; wind wound; write wrote
    written
    bow bowed; beat beaten; bite bit bitten; blow blew blown; break broke broken; come came
    dig dug; fling flung; grow grew grown; lay laid; light lit; pay paid; read read; say said
    see saw seen; seek sought; sell sold; send sent; set set; shut shut; spring sprang sprung
    stick stuck; sting stung; stride strode stridden; swear swore sworn; tear tore torn
    foot feet; man men; woman women; child children; person people; knee knees; tie tying ties
    die dying dies; stumble stumbled stumbling; jab jabbed jabbing; jog jogged jogging
    clap clapped clapping; skip skipped skipping; hop hopped hopping; step stepped stepping
    squat squatted squatting; pat patted patting; tap tapped tapping; nod nodded nodding
    shrug shrugged shrugging; chop chopped chopping; grab grabbed grabbing; drop dropped dropping
    elbow elbows; pass passes passed passing; punch punches punched punching
    stretch stretches stretched; crouch crouches crouched; march marches marched
    reach reaches reached; catch catches; touch touches touched; toss tosses tossed
    press presses pressed; box boxes boxed boxing; cross crosses crossed; push pushes pushed
    brush brushes brushed; wash washes washed; stagger staggered; limp limped; kick kicked
    wave waved waving waves; raise raised raising raises; dance danced dancing dances
    lunge lunged lunging lunges; circle circled circling circles; rotate rotated rotating
    wipe wiped wiping; dive dove dived diving; dodge dodged dodging; salute saluted saluting
    straighten straightened; kneel kneeled; twist twisted; sneak snuck sneaked
    shuffle shuffled shuffling; balance balanced balancing; bounce bounced bouncing
    carry carries carried; hurry hurries hurried; steady steadies; wobble wobbled wobbling
    """.replace(";", "\n").splitlines()
    for i in range(1, len(line.split()))
}
"""Inflected form → lemma, where the rules of `tokens.lemmas` would miss."""
