//! Names that are common in each country, combined at random.

use super::rng::SplitMix64;
use super::site::Site;

/// A full name in the order of the country: Hungarians put the family name first.
pub(super) fn draw(site: Site, male: bool, rng: &mut SplitMix64) -> String {
    let (women, men, families) = match site {
        Site::Cleveland => (&US_WOMEN, &US_MEN, &US_FAMILIES),
        Site::Budapest => (&HU_WOMEN, &HU_MEN, &HU_FAMILIES),
        Site::Zurich => (&CH_WOMEN, &CH_MEN, &CH_FAMILIES),
    };
    let given = rng.pick(if male { men } else { women });
    let family = rng.pick(families);
    match site {
        Site::Cleveland | Site::Zurich => format!("{given} {family}"),
        Site::Budapest => format!("{family} {given}"),
    }
}

const US_WOMEN: [&str; 20] = [
    "Abigail", "Alice", "Angela", "Brenda", "Carmen", "Denise", "Dorothy", "Elena", "Gloria", "Hazel", "Irene",
    "Joyce", "Latoya", "Lorraine", "Marjorie", "Nancy", "Patricia", "Rosa", "Sharon", "Theresa",
];
const US_MEN: [&str; 20] = [
    "Albert", "Calvin", "Curtis", "Dennis", "Earl", "Edward", "Frank", "Gerald", "Harold", "Hector", "Isaac", "Jerome",
    "Leroy", "Luis", "Marvin", "Nathan", "Raymond", "Stanley", "Victor", "Walter",
];
const US_FAMILIES: [&str; 30] = [
    "Adams", "Bailey", "Baker", "Brooks", "Carter", "Coleman", "Diaz", "Ellis", "Foster", "Garcia", "Gibson", "Harris",
    "Hughes", "Jackson", "Jenkins", "Kowalski", "Lewis", "Mitchell", "Morales", "Murphy", "Novak", "O'Brien", "Parker",
    "Reed", "Rivera", "Sanders", "Simmons", "Turner", "Walker", "Wright",
];

const HU_WOMEN: [&str; 20] = [
    "Ágnes",
    "Anna",
    "Boglárka",
    "Borbála",
    "Dóra",
    "Edit",
    "Emese",
    "Erzsébet",
    "Éva",
    "Gabriella",
    "Hajnalka",
    "Ildikó",
    "Ilona",
    "Judit",
    "Katalin",
    "Magdolna",
    "Mária",
    "Piroska",
    "Réka",
    "Zsuzsanna",
];
const HU_MEN: [&str; 20] = [
    "András", "Attila", "Balázs", "Béla", "Dezső", "Ferenc", "Gábor", "György", "Gyula", "Imre", "István", "János",
    "József", "Kálmán", "László", "Lőrinc", "Mihály", "Sándor", "Tibor", "Zoltán",
];
const HU_FAMILIES: [&str; 30] = [
    "Balogh",
    "Bíró",
    "Bodnár",
    "Csonka",
    "Deák",
    "Fazekas",
    "Fekete",
    "Gál",
    "Hegedűs",
    "Horváth",
    "Jakab",
    "Katona",
    "Kelemen",
    "Kocsis",
    "Kovács",
    "Lakatos",
    "Mészáros",
    "Molnár",
    "Nagy",
    "Orsós",
    "Papp",
    "Rácz",
    "Simon",
    "Szabó",
    "Szűcs",
    "Takács",
    "Tóth",
    "Varga",
    "Vörös",
    "Zsigmond",
];

const CH_WOMEN: [&str; 20] = [
    "Agnes",
    "Anneliese",
    "Beatrice",
    "Chiara",
    "Claudine",
    "Dorothea",
    "Elisabeth",
    "Franziska",
    "Giulia",
    "Heidi",
    "Irma",
    "Jacqueline",
    "Käthi",
    "Margrit",
    "Monique",
    "Regula",
    "Rosmarie",
    "Silvia",
    "Ursula",
    "Verena",
];
const CH_MEN: [&str; 20] = [
    "Alfred",
    "Beat",
    "Bruno",
    "Claude",
    "Emil",
    "Ernst",
    "Fabio",
    "Fritz",
    "Gian",
    "Hansruedi",
    "Jürg",
    "Kaspar",
    "Luca",
    "Marcel",
    "Peter",
    "Pierre",
    "Reto",
    "Rolf",
    "Urs",
    "Walter",
];
const CH_FAMILIES: [&str; 30] = [
    "Aebischer",
    "Ammann",
    "Baumgartner",
    "Bernasconi",
    "Brunner",
    "Bühler",
    "Dubois",
    "Egli",
    "Favre",
    "Fischer",
    "Frei",
    "Gerber",
    "Graf",
    "Huber",
    "Hürlimann",
    "Keller",
    "Kuster",
    "Lüthi",
    "Meier",
    "Moser",
    "Müller",
    "Nüssli",
    "Rochat",
    "Rüegg",
    "Schmid",
    "Steiner",
    "Suter",
    "Wyss",
    "Zbinden",
    "Zürcher",
];
