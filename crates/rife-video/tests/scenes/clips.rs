//! Short synthetic clips with known cuts.

use crate::draw::{Camera, Picture, Random, SIZE, Scene, Style};

/// A clip and its cuts: the indices of the frames after which another scene starts.
pub struct Clip {
    pub kind: &'static str,
    pub frames: Vec<Picture>,
    pub cuts: Vec<usize>,
}

/// Frames in a shot.
const SHOT_FRAMES: usize = 12;

/// A shot with a drifting camera and a moving object.
struct Shot {
    scene: Scene,
    camera: Camera,
    dx: f32,
    dy: f32,
    zoom: f32,
    /// Initial position of the object, in frame widths.
    object_start: f32,
    /// Speed of the object, in frame widths per frame.
    object_speed: f32,
}

impl Shot {
    fn new(random: &mut Random, style: Style) -> Self {
        let seed = random.range(0.0, 1e6) as u64;
        Self::with_scene(Scene::new(seed, style), random)
    }

    fn with_scene(scene: Scene, random: &mut Random) -> Self {
        let camera = Camera { x: random.range(-0.5, 0.5), ..Camera::default() };
        Self {
            scene,
            camera,
            dx: random.range(-0.012, 0.012),
            dy: random.range(-0.004, 0.004),
            zoom: random.range(0.995, 1.005),
            object_start: random.range(0.1, 0.9),
            object_speed: random.range(-0.03, 0.03),
        }
    }

    fn still(scene: Scene) -> Self {
        let camera = Camera::default();
        Self { scene, camera, dx: 0.0, dy: 0.0, zoom: 1.0, object_start: 9.0, object_speed: 0.0 }
    }

    fn frame(&self, number: usize) -> Picture {
        self.frame_from(number, |camera| camera)
    }

    fn frame_from(&self, number: usize, change: impl Fn(Camera) -> Camera) -> Picture {
        let t = number as f32;
        self.scene.render(change(Camera {
            x: self.camera.x + t * self.dx,
            y: self.camera.y + t * self.dy,
            zoom: self.camera.zoom * self.zoom.powf(t),
            object: self.camera.x + self.object_start + t * self.object_speed,
            ..self.camera
        }))
    }

    /// The first frames.
    fn frames(&self, count: usize) -> Vec<Picture> {
        (0..count).map(|number| self.frame(number)).collect()
    }
}

fn clip(kind: &'static str, shots: Vec<Vec<Picture>>) -> Clip {
    let mut cuts = Vec::new();
    let mut frames = 0;
    for shot in &shots[..shots.len() - 1] {
        frames += shot.len();
        cuts.push(frames - 1);
    }
    Clip { kind, frames: shots.concat(), cuts }
}

fn map_frames(clip: &mut Clip, mut change: impl FnMut(usize, &Picture) -> Picture) {
    for (i, frame) in clip.frames.iter_mut().enumerate() {
        *frame = change(i, frame);
    }
}

const STYLES: [Style; 3] = [Style::Photo, Style::Soft, Style::Anime];

/// All clips of a seed.
pub fn all(seed: u64) -> Vec<Clip> {
    let mut random = Random::new(seed);
    let style = STYLES[(seed % 3) as usize];
    let mut clips = hard_cuts(&mut random, style);
    clips.extend(fades(&mut random, style));
    clips.extend(flashes(&mut random, style));
    clips.extend(motion(&mut random, style));
    clips.extend(other(&mut random, style));
    clips
}

fn hard_cuts(random: &mut Random, style: Style) -> Vec<Clip> {
    let mut clips = Vec::new();
    let pair = [Shot::new(random, style), Shot::new(random, Style::Photo)];
    let shots = || pair.iter().map(|shot| shot.frames(SHOT_FRAMES)).collect::<Vec<_>>();
    for (kind, gain) in [
        ("cut, exposure 1", 1.0),
        ("cut, exposure 0.5", 0.5),
        ("cut, exposure 0.2", 0.2),
        ("cut, exposure 0.1", 0.1),
        ("cut, exposure 0.05", 0.05),
    ] {
        let mut clip = clip(kind, shots());
        map_frames(&mut clip, |_, frame| frame.exposed(gain, 0.0));
        clips.push(clip);
    }
    let mut dark = clip("cut, bright to dark", shots());
    map_frames(&mut dark, |i, frame| frame.exposed(if i < SHOT_FRAMES { 1.0 } else { 0.08 }, 0.0));
    clips.push(dark);
    let palette = random.range(0.0, 1e6) as u64;
    let alike: Vec<_> = (0..3)
        .map(|_| {
            let seed = random.range(0.0, 1e6) as u64;
            Shot::with_scene(Scene::with_palette(seed, palette, style), random).frames(SHOT_FRAMES)
        })
        .collect();
    clips.push(clip("cut, the same colours", alike));
    let mut noisy = clip("cut, grain", shots());
    let mut grain = random.clone();
    map_frames(&mut noisy, |_, frame| frame.grainy(&mut grain, 10.0));
    clips.push(noisy);
    for tall in [false, true] {
        let mut barred = clip("cut, letterbox", shots());
        map_frames(&mut barred, |_, frame| frame.barred(tall));
        clips.push(barred);
    }
    let panned: Vec<_> = (0..2)
        .map(|_| {
            let mut shot = Shot::new(random, style);
            shot.dx = random.sign() * random.range(0.03, 0.07);
            shot.frames(SHOT_FRAMES)
        })
        .collect();
    clips.push(clip("cut, both pan fast", panned));
    let stills = (0..3).map(|_| {
        let seed = random.range(0.0, 1e6) as u64;
        Shot::still(Scene::new(seed, style)).frames(6)
    });
    clips.push(clip("cut, still pictures", stills.collect()));
    let montage = (0..5).map(|_| Shot::new(random, style).frames(3));
    clips.push(clip("cut, shots of 3 frames", montage.collect()));
    for hold in [2, 3] {
        let shots = (0..2).map(|_| {
            let mut shot = Shot::new(random, Style::Anime);
            shot.object_speed *= 2.0;
            (0..SHOT_FRAMES).map(|i| shot.frame(i / hold * hold)).collect::<Vec<_>>()
        });
        clips.push(clip("cut, anime", shots.collect()));
    }
    let white = vec![Picture::flat(255.0); 6];
    let shots = vec![pair[0].frames(SHOT_FRAMES), white, pair[1].frames(SHOT_FRAMES)];
    clips.push(clip("cut to white and back", shots));
    let black = vec![Picture::flat(0.0); 6];
    let shot = Shot::new(random, style);
    clips.push(clip(
        "cut to black and back",
        vec![shot.frames(SHOT_FRAMES), black, pair[1].frames(SHOT_FRAMES)],
    ));
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
        let out = (0..=steps).map(|i| shot.frame(i).mixed(&flat, i as f32 / steps as f32));
        let into = (0..=steps).map(|i| other.frame(i).mixed(&flat, 1.0 - i as f32 / steps as f32));
        let hold = vec![flat.clone(); 4];
        let frames: Vec<_> =
            shot.frames(4).into_iter().chain(out).chain(hold).chain(into).collect();
        clips.push(Clip { kind, frames, cuts: vec![] });
    }
    // Linear in the light of the scene instead of in pixel values.
    let flat = Picture::flat(0.0);
    let curve = |t: f32| (1.0 - t).powf(2.2);
    let out = (0..=12).map(|i| shot.frame(i).mixed(&flat, 1.0 - curve(i as f32 / 12.0)));
    let into = (0..=12).map(|i| other.frame(i).mixed(&flat, 1.0 - curve(1.0 - i as f32 / 12.0)));
    let frames = out.chain(vec![flat.clone(); 3]).chain(into).collect();
    clips.push(Clip { kind: "fade, black", frames, cuts: vec![] });
    for gain in [1.0, 0.1] {
        for steps in [8usize, 20] {
            let frames = (0..steps + 12).map(|i| {
                let part = (i as f32 - 6.0) / steps as f32;
                shot.frame(i).mixed(&other.frame(i), part.clamp(0.0, 1.0)).exposed(gain, 0.0)
            });
            clips.push(Clip { kind: "cross-dissolve", frames: frames.collect(), cuts: vec![] });
        }
    }
    clips
}

fn flashes(random: &mut Random, style: Style) -> Vec<Clip> {
    let shot = Shot::new(random, style);
    let mut clips = Vec::new();
    let mut add = |kind, change: &dyn Fn(usize, &Picture) -> Picture| {
        let frames = (0..24).map(|i| change(i, &shot.frame(i)));
        clips.push(Clip { kind, frames: frames.collect(), cuts: vec![] });
    };
    let is_flash = |i: usize, count: usize| (9..9 + count).contains(&i);
    for count in 1..=3 {
        add("flash, white", &|i, frame| match is_flash(i, count) {
            true => Picture::flat(255.0),
            false => frame.clone(),
        });
        add("flash, overexposed", &|i, frame| match is_flash(i, count) {
            true => frame.exposed(3.5, 60.0),
            false => frame.clone(),
        });
    }
    add("flash, of a dark scene", &|i, frame| match is_flash(i, 1) {
        true => frame.exposed(1.6, 40.0),
        false => frame.exposed(0.12, 0.0),
    });
    add("flash, black frame", &|i, frame| match is_flash(i, 1) {
        true => Picture::flat(0.0),
        false => frame.clone(),
    });
    add("flash, lightning", &|i, frame| {
        let light = if i < 9 { 0.0 } else { 0.55f32.powi(i as i32 - 9) };
        frame.exposed(0.3 + 4.0 * light, 120.0 * light)
    });
    add("strobe", &|i, frame| match i % 2 {
        1 => frame.exposed(3.0, 80.0),
        _ => frame.exposed(0.6, 0.0),
    });
    add("strobe", &|i, frame| match i % 4 {
        2 | 3 => Picture::flat(0.0),
        _ => frame.clone(),
    });
    add("strobe", &|i, frame| match i % 5 {
        4 => Picture::flat(255.0),
        _ => frame.clone(),
    });
    add("exposure changes", &|i, frame| {
        frame.exposed(if i < 8 { 0.4 } else { 0.4 * 1.25f32.powi((i as i32 - 7).min(5)) }, 0.0)
    });
    clips
}

fn motion(random: &mut Random, style: Style) -> Vec<Clip> {
    let mut clips = Vec::new();
    let mut add = |kind, random: &mut Random, camera: &dyn Fn(f32, Camera) -> Camera| {
        let mut shot = Shot::new(random, style);
        (shot.dx, shot.dy, shot.zoom) = (0.0, 0.0, 1.0);
        let frames = (0..20).map(|i| shot.frame_from(i, |start| camera(i as f32, start)));
        clips.push(Clip { kind, frames: frames.collect(), cuts: vec![] });
    };
    for speed in [0.04, 0.08, 0.12] {
        let (dx, dy) = (random.sign() * speed, random.range(-0.1, 0.1) * speed);
        add("fast pan", random, &|t, start| Camera {
            x: start.x + t * dx,
            y: start.y + t * dy,
            blur: dx.abs() / 2.0,
            ..start
        });
    }
    for top in [0.2, 0.3] {
        let side = random.sign();
        add("whip pan", random, &|t, start| {
            // The camera stands still, turns fast, and stands still again.
            let s = ((t - 6.0) / 8.0).clamp(0.0, 1.0);
            let distance = s * s * (3.0 - 2.0 * s) * 8.0 / 1.5 * top;
            let speed = 6.0 * s * (1.0 - s) / 1.5 * top;
            Camera { x: start.x + side * distance, blur: speed / 2.0, ..start }
        });
    }
    for zoom in [1.04f32, 1.1, 0.92] {
        add("zoom", random, &|t, start| {
            let t = if zoom < 1.0 { t.min(12.0) } else { t };
            Camera { zoom: start.zoom * zoom.powf(t), ..start }
        });
    }
    let shakes: Vec<(f32, f32)> =
        (0..20).map(|_| (random.range(-0.05, 0.05), random.range(-0.04, 0.04))).collect();
    add("camera shake", random, &|t, start| {
        let (dx, dy) = shakes[t as usize];
        Camera { x: start.x + dx, y: start.y + dy, ..start }
    });
    add("object crosses", random, &|t, start| Camera { object: start.x - 0.2 + 0.09 * t, ..start });
    clips
}

fn other(random: &mut Random, style: Style) -> Vec<Clip> {
    let mut clips = Vec::new();
    for _ in 0..2 {
        let shot = Shot::new(random, style);
        let (x, y) = (random.range(0.3, 0.7), random.range(0.3, 0.7));
        let growth = random.range(0.12, 0.2);
        let frames = (0..24).map(|i| {
            let t = i as f32 - 7.0;
            let radius = growth * t.max(0.0);
            let brightness = if t > 9.0 { (1.0 - (t - 9.0) / 6.0).max(0.0) } else { 1.0 };
            shot.frame(i).map_pixels(|px, py, rgb| {
                let distance = ((px - x).powi(2) + ((py - y) * 0.56).powi(2)).sqrt();
                let fire = (((radius - distance) / 0.06).clamp(0.0, 1.0)) * brightness;
                [0, 1, 2].map(|c| rgb[c] + ([255.0, 240.0, 190.0][c] - rgb[c]) * fire)
            })
        });
        clips.push(Clip { kind: "explosion", frames: frames.collect(), cuts: vec![] });
    }
    for (gain, sigma) in [(1.0, 14.0), (0.2, 6.0)] {
        let shot = Shot::new(random, style);
        let mut grain = random.clone();
        let frames =
            (0..16).map(|i| shot.frame(i).exposed(gain, 0.0).grainy(&mut grain, sigma)).collect();
        clips.push(Clip { kind: "grain", frames, cuts: vec![] });
    }
    let mut grain = random.clone();
    let frames = (0..12).map(|_| Picture::flat(40.0).grainy(&mut grain, 8.0)).collect();
    clips.push(Clip { kind: "grain", frames, cuts: vec![] });
    for hold in [2, 3] {
        let mut shot = Shot::new(random, Style::Anime);
        shot.object_speed = random.sign() * 0.06;
        shot.dx *= 2.0;
        let frames = (0..24).map(|i| shot.frame(i / hold * hold)).collect();
        clips.push(Clip { kind: "anime, held frames", frames, cuts: vec![] });
    }
    let mut shot = Shot::new(random, style);
    shot.dx = random.sign() * 0.06;
    let frames = (0..14).map(|i| shot.frame(i).barred(false)).collect();
    clips.push(Clip { kind: "letterbox, pan", frames, cuts: vec![] });
    // A small object on a uniform background.
    let side = random.sign();
    let frames = (0..16).map(|i| {
        Picture::flat(120.0).map_pixels(|x, y, rgb| {
            let centre = 0.5 + side * (i as f32 - 8.0) * 0.055;
            let inside = (x - centre).abs() < 0.06 && (y - 0.5).abs() < 0.12;
            if inside { [230.0, 60.0, 40.0] } else { rgb }
        })
    });
    clips.push(Clip { kind: "object on even ground", frames: frames.collect(), cuts: vec![] });
    debug_assert!(clips.iter().all(|clip| clip.frames.iter().all(|f| f.0.len() == SIZE.pixels())));
    clips
}
