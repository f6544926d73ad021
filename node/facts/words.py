"""Words for body regions in languages with letters: English, German, French, Spanish, Italian, Portuguese, Dutch.

Written without accents and in small letters, as node/lexicon.py folds the text it looks into (a German umlaut both as
"hufte" and as "hueft"). Entries are divided by commas; a blank joins the words of a phrase; a trailing * takes any
ending of the last word ("knie*": Kniegelenk, Knie-MRT). Longer entries win, so "femoral neck" is no neck.
"""

from node.facts.regions import Region

_R = Region
WORDS: dict[Region, str] = {
    _R.LIMB: """
        extremity, extremities, limb, limbs, extremitat*, extremitaet*, extremite, extremites, extremidad, extremidades,
        estremita, extremidade, extremiteit*, scanogram""",
    _R.UPPER_LIMB: """
        upper limb, upper limbs, upper extremity, upper extremities, upper ext, upr limb, uprlimb, arm, arms,
        obere extremitat*, obere extremitaet*, membre superieur, membres superieurs, miembro superior,
        miembros superiores, extremidad superior, extremidades superiores, arto superiore, arti superiori,
        membro superior, membros superiores""",
    _R.LOWER_LIMB: """
        lower limb, lower limbs, lower extremity, lower extremities, lower ext, lwr limb, lwrlimb, leg, legs, long leg,
        full leg, whole leg, leg length, leg lengths, hip to ankle, hips to ankles, hip knee ankle, bein, beine,
        ganzbein*, beinachse*, beinlange*, beinlaenge*, untere extremitat*, untere extremitaet*, membre inferieur,
        membres inferieurs, pangonogramme, pangonometrie, miembro inferior, miembros inferiores, extremidad inferior,
        extremidades inferiores, arto inferiore, arti inferiori, membro inferior, membros inferiores, been, benen""",
    _R.SHOULDER: """
        shoulder, shoulders, humeral head, head of humerus, glenohumeral, glenoid, acromion, rotator cuff, ac joint,
        acromioclavicular*, schulter*, schultergelenk*, humeruskopf*, acg, epaule, epaules, hombro, hombros, spalla,
        spalle, ombro, ombros, schouder*""",
    _R.CLAVICLE: """
        clavicle, clavicles, clavicula*, schlusselbein*, schluesselbein*, clavicule*, clavicola, sleutelbeen*""",
    _R.SCAPULA: "scapula, scapulae, scapular, schulterblatt*, omoplate*, escapula*, scapola, schouderblad*",
    _R.UPPER_ARM: """
        upper arm, upper arms, oberarm*, bras, brazo, brazos, braccio, braccia, braco, bracos, bovenarm*""",
    _R.HUMERUS: "humerus, humeri, humeral, humero, omero, umero",
    _R.ELBOW: """
        elbow, elbows, olecranon, radial head, head of radius, ellenbogen*, ellbogen*, coude, coudes, codo, codos,
        gomito, gomiti, cotovelo*, elleboog*""",
    _R.FOREARM: """
        forearm, forearms, radius ulna, radius and ulna, unterarm*, avant bras, avantbras, antebrazo*, avambraccio,
        avambracci, antebraco*, onderarm*""",
    _R.RADIUS: "radius, distal radius, speiche",
    _R.ULNA: "ulna, ulnae, ulnar, cubitus, cubito",
    _R.WRIST: """
        wrist, wrists, carpal, carpals, carpus, carpi, carpal tunnel, scaphoid, scaphoideum, scaphoide, handgelenk*,
        handwurzel*, poignet*, carpe, muneca*, munecas, polso, polsi, punho*, pols, polsen""",
    _R.HAND: """
        hand, hands, metacarpal, metacarpals, metacarpus, mittelhand*, hande, haende, mano, manos, mani, maos, handen,
        metacarpe, metacarpien*""",
    _R.FINGER: """
        finger, fingers, finger*, doigt, doigts, dedo, dedos, dito, dita, dedo de la mano, dedos de la mano,
        dedo da mao, vinger*""",
    _R.THUMB: "thumb, thumbs, daumen*, pouce, pouces, pulgar*, pollice, polegar*, duim*",
    _R.PELVIS: """
        pelvis, pelvic, pelvis hip, pelvis hips, ilium, iliac bone, iliac crest, ischium, pubis, pubic, becken*, bassin,
        pelvien*, bacino, bacia, pelve, bekken*, darmbein*, sitzbein*, schambein*, beckenubersicht*, os coxae""",
    _R.SACROILIAC_JOINT: """
        sacroiliac, sacro iliac, sacroiliac joint, sacroiliac joints, si joint, si joints, sij, isg, iliosakral*,
        iliosacral*, sacro iliaque, sacro iliaques, sacroiliaque*, sacroiliaca*""",
    _R.HIP: """
        hip, hips, hip joint, acetabulum, acetabular, femoral head, femoral heads, femoral neck, head of femur,
        neck of femur, nof, femurkopf*, schenkelhals*, femurhals*, huft*, hueft*, hanche, hanches, col du femur,
        col femoral, tete femorale, cadera*, anca, quadril, quadris, coxa, coxae, heup*, collo femore,
        collo del femore, collo femorale, cuello femoral, cuello de femur, colo do femur, cabeza femoral""",
    _R.THIGH: """
        thigh, thighs, upper leg, upper legs, oberschenkel*, cuisse, cuisses, muslo*, coscia, cosce, coxa,
        bovenbeen*, bovenbenen""",
    _R.FEMUR: "femur, femurs, femora, femoral, femore, femoro, distal femur, femur distal*, femurschaft*",
    _R.KNEE: """
        knee, knees, knee joint, patellofemoral, femoropatellar*, popliteal, meniscus, menisci, fibular head,
        fibulakopf*, knie*, genou, genoux, rodilla*, ginocchio, ginocchia, joelho*, tibial plateau, tibiakopf*,
        femoro tibial*, femoro patellaire*""",
    _R.PATELLA: "patella, patellae, patellar, kniescheibe*, rotule*, rotula*, patela*, rotuliana*",
    _R.LOWER_LEG: """
        lower leg, lower legs, tibia fibula, tibia and fibula, tib fib, tibfib, tibia fib, calf, calves, shin, shins,
        unterschenkel*, jambe, jambes, pierna, piernas, gamba, gambe, perna, pernas, onderbeen*, onderbenen""",
    _R.TIBIA: "tibia, tibiae, tibial, distal tibia, proximal tibia, schienbein*, scheenbeen*",
    _R.FIBULA: "fibula, fibulae, fibular, perone, peroneal, wadenbein*, kuitbeen*",
    _R.ANKLE: """
        ankle, ankles, malleolus, malleoli, achilles, sprunggelenk*, oberes sprunggelenk*, unteres sprunggelenk*, osg,
        usg, fussgelenk*, knochel*, knoechel*, cheville*, malleole*, tobillo*, caviglia, caviglie, tornozelo*, enkel,
        enkels""",
    _R.FOOT: """
        foot, feet, forefoot, midfoot, hindfoot, metatarsal, metatarsals, metatarsus, metatarsal head,
        metatarsal heads, tarsal, tarsus, lisfranc, talus, fuss, fusse, fuesse, vorfuss*, mittelfuss*, ruckfuss*,
        rueckfuss*, fusswurzel*, sprungbein*, pied, pieds, avant pied, arriere pied, pie, pies, piede, piedi, voet*""",
    _R.CALCANEUS: """
        calcaneus, calcaneum, calcanei, calcaneal, heel, heels, os calcis, fersenbein*, ferse*, talon, talons,
        calcaneo, calcagno, tallone, calcaneu*, hiel, hielbeen*""",
    _R.TOE: """
        toe, toes, great toe, big toe, hallux, hallux valgus, zeh, zehe*, zehen*, grosszehe*, orteil*, dedo del pie,
        dedos del pie, dito del piede, dita del piede, alluce, dedo do pe, dedos do pe, halux, tenen""",
    _R.SPINE: """
        spine, spinal, whole spine, full spine, vertebra, vertebrae, vertebral, scoliosis, wirbel*, wirbelsaule*,
        wirbelsaeule*, ganzwirbelsaule*, ws, rachis, colonne, colonne vertebrale, columna, columna vertebral, colonna,
        colonna vertebrale, coluna, coluna vertebral, wervelkolom*""",
    _R.CERVICAL_SPINE: """
        cervical spine, cervical, c spine, cspine, hws, halswirbel*, rachis cervical, columna cervical,
        rachide cervicale, colonna cervicale, coluna cervical, cwk""",
    _R.THORACIC_SPINE: """
        thoracic spine, dorsal spine, t spine, tspine, d spine, dspine, bws, brustwirbel*, rachis dorsal,
        rachis thoracique, columna dorsal, columna toracica, rachide dorsale, colonna dorsale, coluna dorsal,
        coluna toracica, thoracolumbar, tl spine, tlspine, t l spine, ct spine, ctspine, twk""",
    _R.LUMBAR_SPINE: """
        lumbar spine, lumbar, lumbosacral, lumbosacral spine, l spine, lspine, ls spine, lsspine, l s spine, lws,
        lendenwirbel*, rachis lombaire, rachis lombo sacre, lombaire, columna lumbar, columna lumbosacra,
        rachide lombare, rachide lombosacrale, colonna lombare, lombare, coluna lombar, lwk""",
    _R.SACRUM: "sacrum, sacral, sacral spine, s spine, sspine, kreuzbein*, sacro, osso sacro, heiligbeen*",
    _R.COCCYX: "coccyx, coccygeal, steissbein*, coxis, coccix, cocix, coccige, staartbeen*",
    _R.CHEST: """
        chest, thorax*, thoracic, thoraco, cxr, lung, lungs, pulmonary, mediastinum, lunge*, brustkorb*, brust,
        poumon*, torax, pulmon*, torace, polmon*, pulmao, pulmoes, borst*, longen""",
    _R.RIBS: "rib, ribs, rippe, rippen*, gril costal, costilla*, costole, costela*, ribben",
    _R.STERNUM: "sternum, sternal, brustbein*, esternon, sterno, esterno",
    _R.BREAST: """
        breast, breasts, mammo*, mamma*, brust, borst, seins, mama, mamas, mammella, mamella*, mammaria*""",
    _R.HEART: "heart, cardiac, coronary, herz*, coeur, cardiaque, corazon, cuore, coracao, hart",
    _R.ABDOMEN: """
        abdomen*, abdominal, kub, liver, hepatic, kidney, kidneys, renal, pancreas, spleen, gallbladder, bowel, colon,
        stomach, bauch*, leber*, niere*, asp, foie, rein, reins, higado, rinon, addome, fegato, abdome, buik*,
        thorax abdomen""",
    _R.PELVIC_ORGANS: """
        prostate, prostata*, uterus, uterine, bladder, rectum, rectal, ovary, ovaries, harnblase*, vessie, vejiga,
        vescica, bexiga""",
    _R.HEAD: "head, head neck, head and neck, kopf, tete, cabeza, testa, cabeca, hoofd",
    _R.SKULL: "skull, cranium, cranial, schadel*, schaedel*, crane, craneo, cranio, cranio facial, schedel*",
    _R.BRAIN: "brain, cerebral, pituitary, gehirn*, hirn*, cerveau, encephale, cerebro, encefalo, cervello, hersenen",
    _R.FACE: """
        facial, facial bones, nasal bone, nasal bones, orbit, orbits, orbital, sinus, sinuses, paranasal sinuses, nnh,
        nasennebenhohlen*, gesicht*, massif facial, senos paranasales, zygoma""",
    _R.JAW: """
        jaw, jaws, mandible, mandibular, mandibula*, maxilla, maxillary, tmj, temporomandibular, unterkiefer*,
        oberkiefer*, kiefer*, machoire*, maxillaire, mascella""",
    _R.TEETH: """
        tooth, teeth, dental, panoramic, panorex, orthopantomogra*, ortopantomogra*, opg, opt, bitewing, bitewings,
        periapical, cephalometric, cephalogram, ceph, intraoral, zahn, zahne*, zaehne*, zahn*, dents, dente, dentes,
        denti, diente, dientes, dentaire, panoramique dentaire, arcate dentarie, tand, tanden""",
    _R.NECK: "neck, head neck, head and neck, soft tissue neck, hals, halsweichteil*, cuello, collo, pescoco, nek",
    _R.WHOLE_BODY: """
        whole body, wholebody, total body, full body, ganzkorper*, ganzkoerper*, corps entier, cuerpo entero,
        cuerpo completo, corpo intero, corpo inteiro, babygram""",
    _R.PHANTOM: "phantom, phantoms, phantome, fantom*, fantoma, test object, quality control, daily qc",
}

NO_REGION = """
    c arm, cone arm, head first, feet first, foot first, head coil, knee coil, hand coil, wrist coil, foot coil,
    shoulder coil, spine coil, neck coil, body coil, breast coil, head neck coil, second hand, at hand, hand held,
    handheld, hand side, left hand side, right hand side, other hand, hand over, head of department, foot switch,
    arms up, arm up, arms down, arm down, back up, fingerprint*, handbuch*, sternotomy, spine board, table top,
    knee support, knee roll, kniekehlenrolle*, kopf voran, fusse voran, fuesse voran, tete premiere, rectal contrast,
    leg rest, leg raise"""
"""Phrases that hold a word for a body region and mean none."""

STRICT_WORDS: dict[Region, str] = {
    _R.HAND: "main, mains, mao",
    _R.FACE: "face, cara, faccia",
    _R.FOOT: "pe, pes",
    _R.BREAST: "sein",
    _R.NECK: "cou",
    _R.CHEST: "poitrine",
}
"""Words that mean a region only where nothing but a region can stand (BodyPartExamined), or in the company below."""

COMPANY: dict[str, tuple[Region, str]] = {
    "main": (_R.HAND, "de droit droite gauche gche poignet doigt doigts radio radiographie irm incidence profil mains"),
    "mains": (_R.HAND, "deux les des radio radiographie irm comparatif poignets face profil"),
    "pe": (_R.FOOT, "direito esquerdo tornozelo raio radiografia perfil obliqua carga"),
    "pes": (_R.FOOT, "direito esquerdo ambos tornozelos raio radiografia perfil carga planus"),
    "sein": (_R.BREAST, "droit gauche du irm echographie"),
}
"""Words of one language that mean something else in another (French hand, English "main"), with their company."""

ACCENTED: dict[str, Region] = {"pé": _R.FOOT, "pés": _R.FOOT, "mão": _R.HAND, "mãos": _R.HAND}
"""Words that are clear only with their accent."""
