//! Short clips with known cuts.

use crate::draw::{Camera, Picture, Random, SIZE, Scene, Style};

/// A clip, and the frames after which another scene begins.
pub struct Clip {
    pub kind: &'static str,
    pub frames: Vec<Picture>,
    pub cuts: Vec<usize>,
}

/// Frames of a shot that a clip shows.
const SHOT: usize = 12;

/// A shot whose camera drifts and in which something moves.
struct Shot {
    scene: Scene,
    camera: Camera,
    dx: f32,
    dy: f32,
    zoom: f32,
    /// Where the object is at first, and how it moves, in widths of the frame.
    start: f32,
    object: f32,
}

impl Shot {
    fn new(random: &mut Random, style: Style) -> Self {
        let seed = random.range(0.0, 1e6) as u64;
        Self::of(Scene::new(seed, style), random)
    }

    fn of(scene: Scene, random: &mut Random) -> Self {
        let camera = Camera { x: random.range(-0.5, 0.5), ..Camera::default() };
        Self {
            scene,
            camera,
            dx: random.range(-0.012, 0.012),
            dy: random.range(-0.004, 0.004),
            zoom: random.range(0.995, 1.005),
            start: random.range(0.1, 0.9),
            object: random.range(-0.03, 0.03),
        }
    }

    fn still(scene: Scene) -> Self {
        let camera = Camera::default();
        Self { scene, camera, dx: 0.0, dy: 0.0, zoom: 1.0, start: 9.0, object: 0.0 }
    }

    fn at(&self, frame: usize) -> Picture {
        self.at_camera(frame, |camera| camera)
    }

    fn at_camera(&self, frame: usize, change: impl Fn(Camera) -> Camera) -> Picture {
        let t = frame as f32;
        self.scene.see(change(Camera {
            x: self.camera.x + t * self.dx,
            y: self.camera.y + t * self.dy,
            zoom: self.camera.zoom * self.zoom.powf(t),
            object: self.camera.x + self.start + t * self.object,
            ..self.camera
        }))
    }

    fn run(&self, frames: usize) -> Vec<Picture> {
        (0..frames).map(|frame| self.at(frame)).collect()
    }
}

fn clip(kind: &'static str, shots: Vec<Vec<Picture>>) -> Clip {
    let mut cuts = Vec::new();
    let mut at = 0;
    for shot in &shots[..shots.len() - 1] {
        at += shot.len();
        cuts.push(at - 1);
    }
    Clip { kind, frames: shots.concat(), cuts }
}

fn each(clip: &mut Clip, mut change: impl FnMut(usize, &Picture) -> Picture) {
    for (i, frame) in clip.frames.iter_mut().enumerate() {
        *frame = change(i, frame);
    }
}

const STYLES: [Style; 3] = [Style::Photo, Style::Soft, Style::Anime];

/// The clips of a seed.
pub fn all(seed: u64) -> Vec<Clip> {
    let mut random = Random::new(seed);
    let style = STYLES[(seed % 3) as usize];
    let mut clips = hard_cuts(&mut random, style);
    clips.extend(fades(&mut random, style));
    clips.extend(flashes(&mut random, style));
    clips.extend(motion(&mut random, style));
    clips.extend(rest(&mut random, style));
    clips
}

fn hard_cuts(random: &mut Random, style: Style) -> Vec<Clip> {
    let mut clips = Vec::new();
    let pair = [Shot::new(random, style), Shot::new(random, Style::Photo)];
    let shots = || pair.iter().map(|shot| shot.run(SHOT)).collect::<Vec<_>>();
    for (kind, gain) in [
        ("cut, exposure 1", 1.0),
        ("cut, exposure 0.5", 0.5),
        ("cut, exposure 0.2", 0.2),
        ("cut, exposure 0.1", 0.1),
        ("cut, exposure 0.05", 0.05),
    ] {
        let mut clip = clip(kind, shots());
        each(&mut clip, |_, frame| frame.exposed(gain, 0.0));
        clips.push(clip);
    }
    let mut dark = clip("cut, bright to dark", shots());
    each(&mut dark, |i, frame| frame.exposed(if i < SHOT { 1.0 } else { 0.08 }, 0.0));
    clips.push(dark);
    let palette = random.range(0.0, 1e6) as u64;
    let alike: Vec<_> = (0..3)
        .map(|_| {
            let seed = random.range(0.0, 1e6) as u64;
            Shot::of(Scene::with_palette(seed, palette, style), random).run(SHOT)
        })
        .collect();
    clips.push(clip("cut, the same colours", alike));
    let mut noisy = clip("cut, grain", shots());
    let mut grain = random.clone();
    each(&mut noisy, |_, frame| frame.grainy(&mut grain, 10.0));
    clips.push(noisy);
    for tall in [false, true] {
        let mut barred = clip("cut, letterbox", shots());
        each(&mut barred, |_, frame| frame.barred(tall));
        clips.push(barred);
    }
    let panned: Vec<_> = (0..2)
        .map(|_| {
            let mut shot = Shot::new(random, style);
            shot.dx = random.sign() * random.range(0.03, 0.07);
            shot.run(SHOT)
        })
        .collect();
    clips.push(clip("cut, both pan fast", panned));
    let stills = (0..3).map(|_| {
        let seed = random.range(0.0, 1e6) as u64;
        Shot::still(Scene::new(seed, style)).run(6)
    });
    clips.push(clip("cut, still pictures", stills.collect()));
    let montage = (0..5).map(|_| Shot::new(random, style).run(3));
    clips.push(clip("cut, shots of 3 frames", montage.collect()));
    for hold in [2, 3] {
        let shots = (0..2).map(|_| {
            let mut shot = Shot::new(random, Style::Anime);
            shot.object *= 2.0;
            (0..SHOT).map(|i| shot.at(i / hold * hold)).collect::<Vec<_>>()
        });
        clips.push(clip("cut, anime", shots.collect()));
    }
    let white = vec![Picture::flat(255.0); 6];
    let shots = vec![pair[0].run(SHOT), white, pair[1].run(SHOT)];
    clips.push(clip("cut to white and back", shots));
    let black = vec![Picture::flat(0.0); 6];
    let shot = Shot::new(random, style);
    clips.push(clip("cut to black and back", vec![shot.run(SHOT), black, pair[1].run(SHOT)]));
    clips
}

fn fades(random: &mut Random, style: Style) -> Vec<Clip> {
    let shot = Shot::new(random, style);
    let other = Shot::new(random, Style::Photo);
    let mut clips = Vec::new();
    for (kind, level, steps) in [
        ("fade, black", 0.0, 12),
        ("fade, black", 0.0, 6),
        ("fade, black", 0.0, 24),
        ("fade, white", 255.0, 10),
        ("fade, grey", 110.0, 10),
    ] {
        let flat = Picture::flat(level);
        let out = (0..=steps).map(|i| shot.at(i).mixed(&flat, i as f32 / steps as f32));
        let into = (0..=steps).map(|i| other.at(i).mixed(&flat, 1.0 - i as f32 / steps as f32));
        let hold = vec![flat.clone(); 4];
        let frames: Vec<_> = shot.run(4).into_iter().chain(out).chain(hold).chain(into).collect();
        clips.push(Clip { kind, frames, cuts: vec![] });
    }
    // With the light of the scene and not of the screen.
    let flat = Picture::flat(0.0);
    let curve = |t: f32| (1.0 - t).powf(2.2);
    let out = (0..=12).map(|i| shot.at(i).mixed(&flat, 1.0 - curve(i as f32 / 12.0)));
    let into = (0..=12).map(|i| other.at(i).mixed(&flat, 1.0 - curve(1.0 - i as f32 / 12.0)));
    let frames = out.chain(vec![flat.clone(); 3]).chain(into).collect();
    clips.push(Clip { kind: "fade, black", frames, cuts: vec![] });
    for gain in [1.0, 0.1] {
        for steps in [8usize, 20] {
            let frames = (0..steps + 12).map(|i| {
                let part = (i as f32 - 6.0) / steps as f32;
                shot.at(i).mixed(&other.at(i), part.clamp(0.0, 1.0)).exposed(gain, 0.0)
            });
            clips.push(Clip { kind: "cross-dissolve", frames: frames.collect(), cuts: vec![] });
        }
    }
    clips
}

fn flashes(random: &mut Random, style: Style) -> Vec<Clip> {
    let shot = Shot::new(random, style);
    let mut clips = Vec::new();
    let mut with = |kind, change: &dyn Fn(usize, &Picture) -> Picture| {
        let frames = (0..24).map(|i| change(i, &shot.at(i)));
        clips.push(Clip { kind, frames: frames.collect(), cuts: vec![] });
    };
    let between = |i: usize, from: usize, count: usize| (from..from + count).contains(&i);
    for count in 1..=3 {
        with("flash, white", &|i, frame| match between(i, 9, count) {
            true => Picture::flat(255.0),
            false => frame.clone(),
        });
        with("flash, overexposed", &|i, frame| match between(i, 9, count) {
            true => frame.exposed(3.5, 60.0),
            false => frame.clone(),
        });
    }
    with("flash, of a dark scene", &|i, frame| match between(i, 9, 1) {
        true => frame.exposed(1.6, 40.0),
        false => frame.exposed(0.12, 0.0),
    });
    with("flash, black frame", &|i, frame| match between(i, 9, 1) {
        true => Picture::flat(0.0),
        false => frame.clone(),
    });
    with("flash, lightning", &|i, frame| {
        let light = if i < 9 { 0.0 } else { 0.55f32.powi(i as i32 - 9) };
        frame.exposed(0.3 + 4.0 * light, 120.0 * light)
    });
    with("strobe", &|i, frame| match i % 2 {
        1 => frame.exposed(3.0, 80.0),
        _ => frame.exposed(0.6, 0.0),
    });
    with("strobe", &|i, frame| match i % 4 {
        2 | 3 => Picture::flat(0.0),
        _ => frame.clone(),
    });
    with("strobe", &|i, frame| match i % 5 {
        4 => Picture::flat(255.0),
        _ => frame.clone(),
    });
    with("exposure changes", &|i, frame| {
        frame.exposed(if i < 8 { 0.4 } else { 0.4 * 1.25f32.powi((i as i32 - 7).min(5)) }, 0.0)
    });
    clips
}

fn motion(random: &mut Random, style: Style) -> Vec<Clip> {
    let mut clips = Vec::new();
    let mut moved = |kind, random: &mut Random, camera: &dyn Fn(f32, Camera) -> Camera| {
        let mut shot = Shot::new(random, style);
        (shot.dx, shot.dy, shot.zoom) = (0.0, 0.0, 1.0);
        let frames = (0..20).map(|i| shot.at_camera(i, |at| camera(i as f32, at)));
        clips.push(Clip { kind, frames: frames.collect(), cuts: vec![] });
    };
    for speed in [0.04, 0.08, 0.12] {
        let (dx, dy) = (random.sign() * speed, random.range(-0.1, 0.1) * speed);
        moved("fast pan", random, &|t, at| Camera {
            x: at.x + t * dx,
            y: at.y + t * dy,
            blur: dx.abs() / 2.0,
            ..at
        });
    }
    for top in [0.2, 0.3] {
        let side = random.sign();
        moved("whip pan", random, &|t, at| {
            // It rests, turns fast, and rests again.
            let s = ((t - 6.0) / 8.0).clamp(0.0, 1.0);
            let way = s * s * (3.0 - 2.0 * s) * 8.0 / 1.5 * top;
            let speed = 6.0 * s * (1.0 - s) / 1.5 * top;
            Camera { x: at.x + side * way, blur: speed / 2.0, ..at }
        });
    }
    for zoom in [1.04f32, 1.1, 0.92] {
        moved("zoom", random, &|t, at| {
            let t = if zoom < 1.0 { t.min(12.0) } else { t };
            Camera { zoom: at.zoom * zoom.powf(t), ..at }
        });
    }
    let shakes: Vec<(f32, f32)> =
        (0..20).map(|_| (random.range(-0.05, 0.05), random.range(-0.04, 0.04))).collect();
    moved("camera shake", random, &|t, at| {
        let (dx, dy) = shakes[t as usize];
        Camera { x: at.x + dx, y: at.y + dy, ..at }
    });
    moved("object crosses", random, &|t, at| Camera { object: at.x - 0.2 + 0.09 * t, ..at });
    clips
}

fn rest(random: &mut Random, style: Style) -> Vec<Clip> {
    let mut clips = Vec::new();
    for _ in 0..2 {
        let shot = Shot::new(random, style);
        let (x, y) = (random.range(0.3, 0.7), random.range(0.3, 0.7));
        let growth = random.range(0.12, 0.2);
        let frames = (0..24).map(|i| {
            let t = i as f32 - 7.0;
            let radius = growth * t.max(0.0);
            let heat = if t > 9.0 { (1.0 - (t - 9.0) / 6.0).max(0.0) } else { 1.0 };
            shot.at(i).each(|px, py, rgb| {
                let far = ((px - x).powi(2) + ((py - y) * 0.56).powi(2)).sqrt();
                let fire = (((radius - far) / 0.06).clamp(0.0, 1.0)) * heat;
                [0, 1, 2].map(|c| rgb[c] + ([255.0, 240.0, 190.0][c] - rgb[c]) * fire)
            })
        });
        clips.push(Clip { kind: "explosion", frames: frames.collect(), cuts: vec![] });
    }
    for (gain, sigma) in [(1.0, 14.0), (0.2, 6.0)] {
        let shot = Shot::new(random, style);
        let mut grain = random.clone();
        let frames =
            (0..16).map(|i| shot.at(i).exposed(gain, 0.0).grainy(&mut grain, sigma)).collect();
        clips.push(Clip { kind: "grain", frames, cuts: vec![] });
    }
    let mut grain = random.clone();
    let frames = (0..12).map(|_| Picture::flat(40.0).grainy(&mut grain, 8.0)).collect();
    clips.push(Clip { kind: "grain", frames, cuts: vec![] });
    for hold in [2, 3] {
        let mut shot = Shot::new(random, Style::Anime);
        shot.object = random.sign() * 0.06;
        shot.dx *= 2.0;
        let frames = (0..24).map(|i| shot.at(i / hold * hold)).collect();
        clips.push(Clip { kind: "anime, held frames", frames, cuts: vec![] });
    }
    let mut shot = Shot::new(random, style);
    shot.dx = random.sign() * 0.06;
    let frames = (0..14).map(|i| shot.at(i).barred(false)).collect();
    clips.push(Clip { kind: "letterbox, pan", frames, cuts: vec![] });
    // One small thing moves on an even ground.
    let side = random.sign();
    let frames = (0..16).map(|i| {
        Picture::flat(120.0).each(|x, y, rgb| {
            let at = 0.5 + side * (i as f32 - 8.0) * 0.055;
            let inside = (x - at).abs() < 0.06 && (y - 0.5).abs() < 0.12;
            if inside { [230.0, 60.0, 40.0] } else { rgb }
        })
    });
    clips.push(Clip { kind: "object on even ground", frames: frames.collect(), cuts: vec![] });
    debug_assert!(clips.iter().all(|clip| clip.frames.iter().all(|f| f.0.len() == SIZE.pixels())));
    clips
}
