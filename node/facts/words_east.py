"""Words for body regions in Japanese, Chinese (both scripts) and Korean.

These are looked for inside a run of characters, because blanks do not divide words; the longest entry at a place wins,
so that 手関節 (wrist) is no 手 (hand). `NO_REGION` lists words that hold such a character and mean no region (手術,
surgery). An entry with a leading = counts only when it is the whole run: short Korean syllables occur in any word.
"""

from node.facts.regions import Region

_R = Region
WORDS: dict[Region, str] = {
    _R.LIMB: "四肢 사지",
    _R.UPPER_LIMB: "上肢 腕 상지 =팔",
    _R.LOWER_LIMB: "下肢 全下肢 脚 腿 下肢全长 下肢全長 하지 다리",
    _R.SHOULDER: "肩 上腕骨頭 肱骨头 肱骨頭 肩関節 肩关节 肩關節 肩锁关节 肩鎖関節 어깨 견관절",
    _R.CLAVICLE: "鎖骨 锁骨 쇄골",
    _R.SCAPULA: "肩甲骨 肩胛骨 肩胛 견갑골",
    _R.UPPER_ARM: "上腕 上腕部 上臂 상완 위팔",
    _R.HUMERUS: "上腕骨 上腕骨頸部 上腕骨頚部 肱骨 肱骨外科颈 肱骨颈 상완골",
    _R.ELBOW: "肘 橈骨頭 桡骨头 桡骨小头 尺骨鹰嘴 肘頭 肘関節 肘关节 肘關節 팔꿈치 주관절",
    _R.FOREARM: "前腕 前腕部 前臂 尺桡骨 尺橈骨 전완 아래팔",
    _R.RADIUS: "橈骨 桡骨 요골",
    _R.ULNA: "尺骨 척골",
    _R.WRIST: "手関節 手首 手根 手根骨 手腕 腕関節 腕关节 腕關節 腕骨 손목 완관절 수근골",
    _R.HAND: "手 手部 手掌 手骨 中手骨 掌骨 =손 양손 오른손 왼손 수부 중수골",
    _R.FINGER: "手指 指 指骨 示指 中指 環指 小指 손가락 수지",
    _R.THUMB: "母指 拇指 엄지",
    _R.PELVIS: "骨盤 骨盆 盆腔 髂骨 腸骨 坐骨 恥骨 耻骨 골반 장골 치골",
    _R.SACROILIAC_JOINT: "仙腸関節 骶髂关节 骶髂關節 천장관절",
    _R.HIP: """
        股関節 股 髋 髖 髋关节 髖關節 髋臼 大腿骨頭 大腿骨頸部
        大腿骨頚部 股骨头 股骨頭 股骨颈 股骨頸 고관절 엉덩이 대퇴골두""",
    _R.THIGH: "大腿 大腿部 대퇴 대퇴부 넓적다리 허벅지",
    _R.FEMUR: "大腿骨 股骨 대퇴골",
    _R.KNEE: "膝 腓骨頭 腓骨头 胫骨平台 脛骨高原 膝関節 膝关节 膝關節 膝部 ひざ ヒザ 무릎 슬관절 슬부",
    _R.PATELLA: "膝蓋骨 髌骨 髕骨 슬개골",
    _R.LOWER_LEG: "下腿 下腿部 小腿 胫腓骨 脛腓骨 하퇴 하퇴부 종아리 경비골 정강이",
    _R.TIBIA: "脛骨 胫骨 경골",
    _R.FIBULA: "腓骨 비골",
    _R.ANKLE: "足関節 足首 踝 踝关节 踝關節 足踝 발목 족관절",
    _R.FOOT: "足 足部 跗骨 跖骨 中足骨 距骨 =발 오른발 왼발 양발 족부",
    _R.CALCANEUS: "踵骨 踵 跟骨 足跟 종골 발뒤꿈치",
    _R.TOE: "足趾 足指 趾 脚趾 母趾 拇趾 발가락 족지",
    _R.SPINE: "脊椎 脊柱 全脊柱 全脊椎 척추",
    _R.CERVICAL_SPINE: "頚椎 頸椎 颈椎 경추",
    _R.THORACIC_SPINE: "胸椎 胸腰椎 흉추",
    _R.LUMBAR_SPINE: "腰椎 腰仙椎 腰骶椎 腰 요추 요천추 허리",
    _R.SACRUM: "仙骨 仙椎 骶 骶骨 骶椎 천골 천추",
    _R.COCCYX: "尾骨 尾椎 骶尾椎 미골 미추",
    _R.CHEST: "胸部 胸 胸片 胸腔 肺 肺部 흉부 가슴 폐",
    _R.RIBS: "肋骨 늑골 갈비뼈",
    _R.STERNUM: "胸骨 흉골",
    _R.BREAST: "乳房 乳腺 マンモ マンモグラフィ 유방",
    _R.HEART: "心臓 心脏 心臟 심장",
    _R.ABDOMEN: "腹部 腹 腹腔 上腹部 肝 肝臓 肝脏 腎 肾 복부",
    _R.PELVIC_ORGANS: "前立腺 前列腺 子宮 子宫 膀胱 전립선 자궁 방광",
    _R.HEAD: "頭部 头部 頭 头 두부 머리",
    _R.SKULL: "頭蓋 頭蓋骨 头颅 頭顱 颅骨 顱骨 颅 두개 두개골",
    _R.BRAIN: "脳 腦 脑 颅脑 頭部脳 뇌",
    _R.FACE: "顔面 面部 副鼻腔 鼻窦 鼻骨 안면 비골 부비동",
    _R.JAW: "顎 下顎 上顎 颌 下颌 上颌 顎関節 颞下颌关节 턱 하악",
    _R.TEETH: "歯 歯科 牙 牙片 牙齿 パノラマ 口腔全景 曲面断层 치아 치과 파노라마",
    _R.NECK: "頚部 頸部 頚 頸 颈部 颈 경부",
    _R.WHOLE_BODY: "全身 전신",
    _R.PHANTOM: "ファントム 体模 模体 팬텀",
}

NO_REGION = """
    手術 手术 手技 手動 手动 手順 手前 相手 入手 手册 手工 助手 不足 満足
    满足 補足 补足 足够 足夠 充足 足先 头先 足先进 头先进 頭側 头侧 足側 尾側
    指示 指定 指導 指导 指标 指標 指南 指数 指針 镜头 鏡頭 接头 探头 鎮痛
    肩書 股份 腹臥位 腹卧位 俯卧 손상 손실 파손 훼손 손님 발생 발열 재발 다발
    다발성 발견 발달 발작 유발 하지만 머리글
"""
"""Words that hold a character of the table above and mean no region."""
